//! A report as a CycloneDX 1.6 bill of materials: images as components that descend from their bases.
//!
//! An image is a component of type container, its base and what that is built on are its pedigree's ancestors, and it depends on
//! its base where that is in the report, too. What is only like a base is none. The serial number is made from what is written,
//! so that the same report has the same one.

use std::io::Write;

use layerprint_query::{Base, Evidence, Kin, Row, Verdict};
use layerprint_store::id::{ContentId, ImageId};
use serde::Serialize;
use serde_json::{Value, json};

use super::Report;
use super::reference::{package_url, repository_and_tag};
use super::stream::Streamed;
use crate::escape::write_json;
use crate::output::plain;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom<C, D> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Value,
    components: C,
    dependencies: D,
}

/// Writes the bill.
pub fn write(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    let metadata = metadata(report);
    let bom = Bom {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: serial_number(report, &metadata)?,
        version: 1,
        metadata,
        components: Streamed::new(components(report)),
        dependencies: Streamed::new(dependencies(report)),
    };
    write_json(&mut *out, &bom)?;
    Ok(writeln!(out)?)
}

fn metadata(report: &Report) -> Value {
    let tool = json!({"type": "application", "name": "layerprint", "version": env!("CARGO_PKG_VERSION")});
    let lack = report.lack().map(|lack| property("lack", lack));
    let properties: Vec<Value> = std::iter::once(property("as-of", report.as_of.day)).chain(lack).collect();
    json!({"tools": {"components": [tool]}, "properties": properties})
}

fn components(report: &Report) -> impl Iterator<Item = anyhow::Result<Value>> {
    report.rows().map(|row| Ok(image(&row?)))
}

/// A UUID of version 8 (RFC 9562): a hash over all that is told.
fn serial_number(report: &Report, metadata: &Value) -> anyhow::Result<String> {
    let mut told = ContentId::of(metadata.to_string().as_bytes());
    for component in components(report) {
        told = ContentId::of(format!("{told} {}", component?).as_bytes());
    }
    let mut bytes: [u8; 16] = told.as_bytes()[..16].try_into().expect("16 of 32 bytes");
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Ok(format!("urn:uuid:{}", parts.join("-")))
}

fn image(row: &Row) -> Value {
    let finding = &row.finding;
    let mut image = named(&finding.source, Some(&finding.image.id));
    image["bom-ref"] = json!(finding.image.id);
    let mut properties = vec![
        property("image-id", finding.image.id),
        property("platform", &finding.image.platform),
        property("verdict", super::csv::verdict(finding.verdict)),
        property("confidence", finding.confidence),
    ];
    let others = finding.image.names.iter().filter(|name| **name != finding.source);
    properties.extend(others.map(|name| property("name", name)));
    if let Some(base) = finding.base.as_ref().filter(|_| finding.verdict == Verdict::Base) {
        properties.push(property("evidence", base.evidence.word()));
        let ancestors = base.lineage.iter().map(of_kin);
        let ancestors: Vec<Value> = std::iter::once(of_base(base)).chain(ancestors).collect();
        image["pedigree"] = json!({"ancestors": ancestors, "notes": plain(&finding.reason)});
    }
    let remarks = row.remarks.iter();
    properties.extend(
        remarks.map(|remark| property("remark", format_args!("{}: {}", remark.rule.word(), remark.message))),
    );
    properties.extend(row.change.iter().map(|change| property("change", change.kind.word())));
    image["properties"] = json!(properties);
    image
}

fn of_base(base: &Base) -> Value {
    let mut component = ancestor(&base.names, base.evidence, base.containment);
    let ids = base.images.iter().map(|member| property("image-id", member.id));
    component["properties"].as_array_mut().expect("a list was put there").extend(ids);
    component
}

fn of_kin(kin: &Kin) -> Value {
    ancestor(&kin.names, kin.evidence, kin.containment)
}

/// What others are built on goes by its first name; those that it cannot be told from are properties.
fn ancestor(names: &[String], by: Evidence, containment: f64) -> Value {
    let mut component = named(names.first().map_or("(no name)", |name| name), None);
    let mut properties = vec![property("evidence", by.word()), property("containment", containment)];
    properties.extend(names.iter().skip(1).map(|name| property("name", name)));
    component["properties"] = json!(properties);
    component
}

fn named(name: &str, id: Option<&ImageId>) -> Value {
    let (repository, tag) = repository_and_tag(name);
    let mut component = json!({"type": "container", "name": plain(repository)});
    if let Some(tag) = tag {
        component["version"] = json!(plain(tag));
    }
    if let Some(url) = package_url(name, id) {
        component["purl"] = json!(url);
    }
    component
}

fn property(name: &str, value: impl ToString) -> Value {
    json!({"name": format!("layerprint:{name}"), "value": plain(&value.to_string())})
}

/// Who is built on whom, within the report.
fn dependencies(report: &Report) -> impl Iterator<Item = anyhow::Result<Value>> {
    report.images().iter().map(|image| {
        let on: Vec<ImageId> = report.parent(image).into_iter().collect();
        Ok(json!({"ref": image, "dependsOn": on}))
    })
}
