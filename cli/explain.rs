//! `layerprint explain`

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use anyhow::Context;
use layerprint_ingest::Options;
use layerprint_query::{Amount, Explanation, FileRow, Origin, OriginKind, State, Subject, Verdict};
use layerprint_store::id::ImageId;
use layerprint_store::{Platform, StoreError};
use serde::Serialize;
use serde_json::json;

use crate::args::{Explain, Global};
use crate::batch::CannotTell;
use crate::error::Status;
use crate::escape::write_json;
use crate::find::{BOLD, DIM, evidence, part_line, row, style_of};
use crate::output::{
    align_right, bytes, count, counted, names, path, path_value, plain, print_json, print_table, short, table,
};
use crate::store::Published;
use crate::subjects::Reader;

pub fn run(global: &Global, command: &Explain) -> anyhow::Result<Status> {
    let source = command.image.parse()?;
    let published = Published::open(global)?;
    let base =
        command.base.as_ref().map(|base| image(&published, base, command.platform.as_ref())).transpose()?;
    let options = Options { platform: command.platform.clone(), ..Options::default() };
    let reader = Reader { global, published: &published, options, store: None };
    let mut ask = |origin: &str, subject: &Subject| -> anyhow::Result<Status> {
        let told = published.ask(|index| {
            layerprint_query::explain(index, subject, base.as_ref(), origin, |explanation, rows| {
                tell(global, command, explanation, rows).map(|()| status_of(explanation))
            })
        });
        told?.context(CannotTell)
    };
    let (mut status, troubles) = reader.each(&source, &mut ask)?;
    for trouble in &troubles {
        trouble.complain();
        status = status.max(trouble.status);
    }
    Ok(status.max(published.report_unreadable()?))
}

fn image(published: &Published, name: &str, wanted: Option<&Platform>) -> anyhow::Result<ImageId> {
    match published.ask(|index| index.resolve_for(name, wanted))? {
        layerprint_store::Subject::Image(id) => Ok(id),
        layerprint_store::Subject::Layer(_) => Err(StoreError::NotFound { text: name.to_owned() })
            .with_context(|| format!("{name}: is a layer, not an image")),
    }
}

/// As `find` for the base that is found; of one that was given, something must be there.
fn status_of(explanation: &Explanation) -> Status {
    let is_there = match (explanation.verdict, &explanation.base) {
        (Some(verdict), _) => verdict != Verdict::None,
        (None, Some(base)) => base.files.present() > 0,
        (None, None) => false,
    };
    if is_there { Status::Done } else { Status::Nothing }
}

fn tell(
    global: &Global,
    command: &Explain,
    explanation: &Explanation,
    rows: &[FileRow],
) -> anyhow::Result<()> {
    let states: Vec<State> = command.states.iter().map(|state| state.0).collect();
    let paths = &command.paths;
    let wanted = |row: &&FileRow| {
        (states.is_empty() || states.contains(&row.state))
            && (paths.is_empty() || paths.iter().any(|folder| is_in(&row.path, folder.as_bytes())))
    };
    let rows = rows.iter().filter(|_| !command.summary).filter(wanted);
    match global.json {
        true => tell_json(explanation, rows),
        false => Ok(tell_text(explanation, rows)?),
    }
}

/// Returns true for the path itself and what lies below it.
fn is_in(path: &[u8], folder: &[u8]) -> bool {
    let folder = folder.strip_prefix(b"/").unwrap_or(folder);
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    path.strip_prefix(folder)
        .is_some_and(|rest| folder.is_empty() || matches!(rest.first(), None | Some(b'/')))
}

/// The first line: the image and all sums.
#[derive(Serialize)]
struct ImageLine<'a> {
    kind: &'static str,
    #[serde(flatten)]
    explanation: &'a Explanation,
}

fn tell_json<'a>(
    explanation: &Explanation,
    rows: impl Iterator<Item = &'a FileRow<'a>>,
) -> anyhow::Result<()> {
    print_json(&ImageLine { kind: "image", explanation })?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for row in rows {
        write_json(&mut out, &file_json(row))?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

fn file_json(row: &FileRow) -> serde_json::Value {
    json!({
        "kind": "file",
        "path": path_value(&row.path),
        "state": row.state,
        "content": row.content.id,
        "size_bytes": row.content.size_bytes,
        "to": row.to.map(path_value),
        "from": row.from.as_deref().map(path),
        "origin": row.origin,
    })
}

fn tell_text<'a>(explanation: &Explanation, rows: impl Iterator<Item = &'a FileRow<'a>>) -> io::Result<()> {
    tell_image(&mut anstream::stdout().lock(), explanation)?;
    print_states(explanation)?;
    print_folders(explanation)?;
    print_origins(explanation)?;
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    for file in rows {
        tell_file(&mut out, explanation, file)?;
    }
    out.flush()
}

fn tell_image(out: &mut impl Write, explanation: &Explanation) -> io::Result<()> {
    let image = &explanation.image;
    writeln!(out, "{BOLD}{}{BOLD:#}", plain(&explanation.source))?;
    let layers = counted(image.layers as u64, "layer");
    let files = counted(image.files, "file");
    let what = format!(
        "{}  {}, {layers}, {files}, {}",
        short(image.id),
        plain(&image.platform),
        bytes(image.content_bytes)
    );
    row(out, "image", &what)?;
    match &explanation.base {
        Some(base) => {
            let style = explanation.verdict.map_or(BOLD, style_of);
            let (label, like) = match explanation.verdict {
                Some(Verdict::Family) => ("family", "like "),
                Some(_) => ("base", ""),
                None => ("against", ""),
            };
            let how = base.evidence.map_or("as asked", evidence);
            row(out, label, &format!("{style}{like}{}{style:#}  {how}", names(&base.names)))?;
            if let Some(folder) = &base.files.moved_to {
                row(out, "", &format!("its tree stands in {}/", plain(folder)))?;
            }
            for (index, kin) in base.lineage.iter().enumerate() {
                let label = if index == 0 { "on" } else { "" };
                row(out, label, &format!("{}  {DIM}{}{DIM:#}", names(&kin.names), evidence(kin.evidence)))?;
            }
        }
        None => {
            let style = style_of(Verdict::None);
            row(out, "base", &format!("{style}none known{style:#}"))?;
        }
    }
    for part in &explanation.cover {
        row(out, "with", &part_line(part))?;
    }
    writeln!(out)
}

fn print_states(explanation: &Explanation) -> io::Result<()> {
    let mut states = table(&["STATE", "FILES", "SIZE"]);
    for (state, amount) in explanation.states.iter().filter(|(_, amount)| amount.files > 0) {
        states.add_row([state.word().to_owned(), count(amount.files), bytes(amount.bytes)]);
    }
    align_right(&mut states, &[1, 2]);
    print_table(&states)?;
    print_gap()
}

fn print_folders(explanation: &Explanation) -> io::Result<()> {
    let used = |state: &State| explanation.states.get(state).is_some_and(|amount| amount.files > 0);
    let columns: Vec<State> = State::ALL.into_iter().filter(used).collect();
    let header: Vec<String> = columns.iter().map(|state| state.word().to_uppercase()).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).chain(["FOLDER"]).collect();
    let mut folders = table(&header);
    for (folder, states) in &explanation.folders {
        let counts =
            columns.iter().map(|state| states.get(state).map_or(String::new(), |number| count(*number)));
        folders.add_row(counts.chain([format!("{}/", plain(folder))]));
    }
    align_right(&mut folders, &(0..columns.len()).collect::<Vec<_>>());
    print_table(&folders)?;
    print_gap()
}

fn print_origins(explanation: &Explanation) -> io::Result<()> {
    if explanation.origins.is_empty() {
        return Ok(());
    }
    let mut origins = table(&["FILES", "SIZE", "DELETED", "FROM", "NAMES"]);
    for origin in &explanation.origins {
        let gone =
            if origin.deleted == Amount::default() { String::new() } else { count(origin.deleted.files) };
        origins.add_row([
            count(origin.present.files),
            bytes(origin.present.bytes),
            gone,
            word_of(origin.kind).to_owned(),
            names(&origin.names),
        ]);
    }
    align_right(&mut origins, &[0, 1, 2]);
    print_table(&origins)?;
    print_gap()
}

fn print_gap() -> io::Result<()> {
    writeln!(io::stdout().lock())
}

fn word_of(kind: OriginKind) -> &'static str {
    match kind {
        OriginKind::Base => "base",
        OriginKind::Ancestor => "ancestor",
        OriginKind::Relative => "relative",
        OriginKind::Part => "part",
    }
}

fn color_of(state: State) -> Style {
    let color = match state {
        State::Same => return DIM,
        State::Moved | State::Copied => AnsiColor::Cyan,
        State::Modified => AnsiColor::Yellow,
        State::Upgraded => AnsiColor::Blue,
        State::Downgraded => AnsiColor::Magenta,
        State::Deleted => AnsiColor::Red,
        State::New => AnsiColor::Green,
    };
    color.on_default()
}

fn tell_file(out: &mut impl Write, explanation: &Explanation, file: &FileRow) -> io::Result<()> {
    let style = color_of(file.state);
    write!(out, "{style}{:<10}{style:#}  {}", file.state.word(), path(&file.path))?;
    if let Some(to) = file.to {
        write!(out, " -> {}", path(to))?;
    }
    let from = file.from.as_deref().map(path);
    let origin = file.origin.and_then(|place| explanation.origins.get(place));
    // That a file of the base is the base's goes without saying.
    let origin = origin.filter(|origin| origin.kind != OriginKind::Base);
    match (from, origin) {
        (Some(from), Some(origin)) => write!(out, "  {DIM}<- {from} of {}{DIM:#}", first(origin))?,
        (Some(from), None) => write!(out, "  {DIM}<- {from}{DIM:#}")?,
        (None, Some(origin)) => write!(out, "  {DIM}{}{DIM:#}", first(origin))?,
        (None, None) => {}
    }
    writeln!(out)
}

/// One name for a line of many; the table of origins has them all.
fn first(origin: &Origin) -> String {
    names(&origin.names[..origin.names.len().min(1)])
}
