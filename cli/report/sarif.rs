//! A report as SARIF 2.1.0, of which code hosts show the results as alerts.
//!
//! Every remark is a result. Code hosts want a file and a line for each: the file is the image's name, the line the first. Alerts
//! are followed from run to run by rule, image, platform and content. A code host that gets more than 25,000 results rejects all
//! of them (<https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>),
//! so no more are written, the worst first, and a notification says how many are left out.

use std::io::Write;

use layerprint_query::{Level, Remark, Row, Rule};
use layerprint_store::id::ContentId;
use serde::Serialize;
use serde_json::{Value, json};

use super::Report;
use super::reference::relative_uri;
use super::rules::{level, words};
use super::stream::Streamed;
use crate::escape::write_json;
use crate::output::{count, plain};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// Results that are written at most.
const RESULTS_MAX: u64 = 25_000;

#[derive(Serialize)]
struct Log<L> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<L>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<L> {
    tool: Value,
    invocations: [Value; 1],
    column_kind: &'static str,
    properties: Value,
    results: L,
}

/// Writes the log.
pub fn write(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    let (mut images, mut remarks) = (0_u64, 0_u64);
    for row in report.rows() {
        images += 1;
        remarks += row?.remarks.len() as u64;
    }
    let run = Run {
        tool: tool(),
        invocations: [invocation(remarks.saturating_sub(RESULTS_MAX), report.lack())],
        column_kind: "unicodeCodePoints",
        properties: json!({"asOf": report.as_of.day.to_string(), "images": images}),
        results: Streamed::new(results(report)),
    };
    let log = Log { schema: SCHEMA, version: "2.1.0", runs: [run] };
    write_json(&mut *out, &log)?;
    Ok(writeln!(out)?)
}

fn tool() -> Value {
    let mut driver = json!({
        "name": "layerprint",
        "semanticVersion": env!("CARGO_PKG_VERSION"),
        "rules": Rule::ALL.map(rule),
    });
    let home = env!("CARGO_PKG_REPOSITORY");
    if !home.is_empty() {
        driver["informationUri"] = json!(home);
    }
    json!({"driver": driver})
}

fn rule(rule: Rule) -> Value {
    let words = words(rule);
    json!({
        "id": rule.word(),
        "shortDescription": {"text": words.short},
        "fullDescription": {"text": words.full},
        "help": {"text": words.help, "markdown": words.help},
        "defaultConfiguration": {"level": level(rule)},
        "properties": {"tags": ["security", "supply-chain", "container"], "precision": "high"},
    })
}

fn invocation(further: u64, lack: Option<String>) -> Value {
    let further = (further > 0).then(|| {
        format!("{} further results are left out: code hosts take {RESULTS_MAX} at most", count(further))
    });
    let notification = |level: &str, text: &str| json!({"level": level, "message": {"text": message(text)}});
    let told = lack.iter().map(|text| notification("error", text));
    let told: Vec<Value> = told.chain(further.iter().map(|text| notification("warning", text))).collect();
    match told[..] {
        [] => json!({"executionSuccessful": true}),
        _ => json!({"executionSuccessful": lack.is_none(), "toolExecutionNotifications": told}),
    }
}

/// The worst first, for a code host shows no more than some thousands of them.
fn results(report: &Report) -> impl Iterator<Item = anyhow::Result<Value>> {
    let is_error = |remark: &Remark| remark.level == Level::Error;
    let of_row = move |row: Row, errors: bool| {
        let told = row.remarks.iter().filter(|remark| is_error(remark) == errors);
        told.map(|remark| Ok(result(&row, remark))).collect::<Vec<_>>()
    };
    let passes = [true, false].into_iter().flat_map(move |errors| {
        report
            .rows()
            .flat_map(move |row| row.map_or_else(|error| vec![Err(error)], |row| of_row(row, errors)))
    });
    passes.take(usize::try_from(RESULTS_MAX).expect("a count that fits"))
}

fn result(row: &Row, remark: &Remark) -> Value {
    let finding = &row.finding;
    let name = plain(&finding.source);
    let base: Vec<&String> = finding.base.iter().flat_map(|base| &base.names).collect();
    let mut properties = json!({
        "imageId": finding.image.id,
        "names": finding.image.names,
        "platform": finding.image.platform,
        "verdict": finding.verdict,
        "confidence": finding.confidence,
        "base": base,
    });
    if let Some(change) = &row.change {
        properties["change"] = json!(change);
    }
    json!({
        "ruleId": remark.rule.word(),
        "ruleIndex": Rule::ALL.iter().position(|rule| *rule == remark.rule),
        "level": remark.level,
        "message": {"text": message(&format!("{name}: {}", remark.message))},
        "locations": [{
            "physicalLocation": {
                "artifactLocation": {"uri": relative_uri(&finding.source)},
                "region": {"startLine": 1},
            },
            "logicalLocations": [{"fullyQualifiedName": name, "kind": "resource"}],
        }],
        "partialFingerprints": {"layerprint/v1": fingerprint(row, remark)},
        "properties": properties,
    })
}

/// What makes two results of two runs the same. The name goes on to the image that has it now: an alert ends when that is mended.
fn fingerprint(row: &Row, remark: &Remark) -> String {
    let finding = &row.finding;
    let mut parts = json!([remark.rule, finding.source, finding.image.platform, remark.content]);
    if row.superseded {
        parts.as_array_mut().expect("a list was made").push(json!(finding.image.id));
    }
    let id = ContentId::of(parts.to_string().as_bytes()).to_string();
    id.trim_start_matches("blake3:")[..32].to_owned()
}

/// Takes the meaning from what has one in messages: placeholders (SARIF 3.11.5) and links (3.11.6). Links are parted, for a
/// backslash before the bracket may have one before it.
fn message(text: &str) -> String {
    plain(text).replace('{', "{{").replace('}', "}}").replace("](", "] (")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_told_and_the_log_is_valid() {
        let run = Run {
            tool: tool(),
            invocations: [invocation(1234, None)],
            column_kind: "unicodeCodePoints",
            properties: json!({}),
            results: Streamed::new(std::iter::empty::<anyhow::Result<Value>>()),
        };
        let log = serde_json::to_value(Log { schema: SCHEMA, version: "2.1.0", runs: [run] }).unwrap();
        let told = &log["runs"][0]["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"];
        assert_eq!(told, "1,234 further results are left out: code hosts take 25000 at most");
        let schema = include_str!("../../tests/schemas/sarif-2.1.0.schema.json");
        let schema: Value = serde_json::from_str(schema).unwrap();
        assert_eq!(jsonschema::validate(&schema, &log).map_err(|error| error.to_string()), Ok(()));
    }

    #[test]
    fn a_row_that_cannot_be_read_is_an_error_and_no_short_log() {
        let failed = Streamed::new(std::iter::once(Err::<Value, _>(anyhow::anyhow!("disk on fire"))));
        assert_eq!(serde_json::to_string(&failed).unwrap_err().to_string(), "disk on fire");
    }

    #[test]
    fn messages_have_no_links_and_no_placeholders() {
        assert_eq!(message("a [b](http://c) {0}\n[d]"), "a [b] (http://c) {{0}}\\n[d]");
        assert_eq!(message("[a\\](http://b)"), "[a\\] (http://b)");
    }
}
