//! `layerprint who-has`

use std::fs::File;
use std::io;

use anyhow::Context;
use layerprint_query::{Asked, Holding, who_has};
use layerprint_store::id::ContentId;
use serde_json::{Value, json};

use crate::args::{Global, WhoHas};
use crate::error::{Status, input_hint};
use crate::left_out::LeftOut;
use crate::output::{count, names, path, path_value, plain, short};
use crate::progress::{bar, complain};
use crate::rows::{self, Column, Form};
use crate::store::Published;
use crate::subjects::Trouble;

/// Paths that the text shows of one image.
const PATHS_SHOWN: usize = 3;

/// An image that has what was asked for.
struct Row {
    asked: String,
    content: ContentId,
    holding: Holding,
}

pub fn run(global: &Global, command: &WhoHas) -> anyhow::Result<Status> {
    let published = Published::open(global)?;
    let (mut rows, mut status, mut left_out) = (Vec::new(), Status::Done, published.unreadable()?);
    for asked in &command.contents {
        match content_of(asked) {
            Ok(content) => rows.extend(ask(global, &published, asked, content, &mut left_out)?),
            Err(error) => {
                status = Status::Failed;
                tell(asked, &error);
            }
        }
    }
    let form = Form::of(global, command.tabular);
    if form != Form::Text || !rows.is_empty() {
        rows::print(form, &columns(command.contents.len() > 1), &rows)?;
    }
    let status = status.max(left_out.tell(&published));
    Ok(status.max(if rows.is_empty() { Status::Nothing } else { Status::Done }))
}

fn ask(
    global: &Global,
    published: &Published,
    asked: &str,
    content: ContentId,
    left_out: &mut LeftOut,
) -> anyhow::Result<Vec<Row>> {
    let bar = bar(global.quiet, "layers read");
    let on_read = |event| match event {
        Asked::Total(number) => bar.set_length(number),
        Asked::One => bar.inc(1),
    };
    let holdings = published.ask(|index| who_has(index, &content, &on_read));
    bar.finish_and_clear();
    let holdings = left_out.take(holdings?);
    if holdings.is_empty() && !published.tell_if_empty() {
        complain(&format!("{}: no stored image has {content}", plain(asked)));
    }
    let row = |holding| Row { asked: asked.to_owned(), content, holding };
    Ok(holdings.into_iter().map(row).collect())
}

/// What cannot be asked for.
#[derive(Debug, thiserror::Error)]
pub enum NotAsked {
    /// A hash of another kind.
    #[error("contents are known by BLAKE3, not {0}")]
    OtherHash(String),
    /// What is asked for is no hash, and cannot be read.
    #[error("{path}: {source}")]
    File { path: String, source: io::Error },
    /// The content of the empty file.
    #[error("this is the empty file, which nearly every image has and which is never counted")]
    Empty,
}

impl NotAsked {
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::OtherHash(_) => {
                Some("give the file itself, or what `b3sum FILE` prints; `layerprint show --files` lists the hashes of an image".into())
            }
            Self::File { source, .. } => {
                input_hint(source.kind(), "give a file, or all 64 digits of the BLAKE3 hash of its bytes")
            }
            Self::Empty => None,
        }
    }
}

/// Reads a hash, or hashes a file.
fn content_of(asked: &str) -> anyhow::Result<ContentId> {
    let content = match hash(asked)? {
        Some(content) => content,
        None if asked == "-" => ContentId::of_reader(io::stdin().lock()).context("standard input")?,
        None => {
            let read = File::open(asked).and_then(ContentId::of_reader);
            read.map_err(|source| NotAsked::File { path: asked.to_owned(), source })?
        }
    };
    if content == ContentId::EMPTY { Err(NotAsked::Empty.into()) } else { Ok(content) }
}

/// Returns the hash that a text is; none if it is the name of a file.
fn hash(asked: &str) -> Result<Option<ContentId>, NotAsked> {
    let lower = asked.to_ascii_lowercase();
    let other = ["md5", "sha1", "sha256", "sha384", "sha512"].into_iter().find(|name| {
        let digits = lower.strip_prefix(name).and_then(|rest| rest.strip_prefix(':'));
        digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    });
    if let Some(name) = other {
        return Err(NotAsked::OtherHash(name.to_uppercase()));
    }
    let digits = lower.strip_prefix("blake3:").unwrap_or(&lower);
    Ok(format!("blake3:{digits}").parse().ok())
}

fn tell(asked: &str, error: &anyhow::Error) {
    Trouble::failed(asked, error).complain();
}

type Fact = Column<Row>;

fn columns(several: bool) -> Vec<Fact> {
    let asked = Fact::new("asked", |row| json!(row.asked));
    vec![
        if several { asked.text("ASKED", |row| plain(&row.asked).into_owned()) } else { asked },
        Fact::new("content", |row| json!(row.content)),
        Fact::new("id", |row| json!(row.holding.image.id))
            .text("IMAGE ID", |row| short(row.holding.image.id)),
        Fact::new("platform", |row| json!(row.holding.image.platform))
            .text("PLATFORM", |row| plain(&row.holding.image.platform).into_owned()),
        Fact::new("state", |row| json!(state(row))).text("STATE", |row| state(row).to_owned()),
        Fact::new("names", |row| json!(row.holding.image.names))
            .text("NAMES", |row| names(&row.holding.image.names)),
        Fact::new("created", |row| json!(row.holding.image.created)),
        Fact::new("paths", |row| {
            json!(row.holding.paths.iter().map(|name| path_value(name)).collect::<Vec<_>>())
        }),
        Fact::new("layers", |row| layers(&row.holding)).cell(|row| diff_ids(&row.holding)),
        Fact::only_text("LAYERS AND PATHS", |row| places(&row.holding)),
    ]
}

fn state(row: &Row) -> &'static str {
    if row.holding.is_visible() { "visible" } else { "hidden" }
}

fn layers(holding: &Holding) -> Value {
    let layer = |layer: &layerprint_query::HoldingLayer| {
        let paths: Vec<_> = layer.paths.iter().map(|name| path_value(name)).collect();
        json!({"position": layer.position, "diff_id": layer.diff_id, "paths": paths})
    };
    holding.layers.iter().map(layer).collect()
}

fn diff_ids(holding: &Holding) -> String {
    holding.layers.iter().map(|layer| layer.diff_id.to_string()).collect::<Vec<_>>().join("; ")
}

/// The layers with what they hold: `4f1e2a3b4c5d /opt/a.jar, /opt/b.jar`.
fn places(holding: &Holding) -> String {
    let mut shown = PATHS_SHOWN;
    let mut told = Vec::new();
    for layer in &holding.layers {
        let paths: Vec<String> = layer.paths.iter().take(shown).map(|name| path(name)).collect();
        shown -= paths.len();
        if !paths.is_empty() {
            told.push(format!("{} {}", short(layer.diff_id), paths.join(", ")));
        }
    }
    let all: usize = holding.layers.iter().map(|layer| layer.paths.len()).sum();
    let rest = all - (PATHS_SHOWN - shown);
    let more = if rest > 0 { format!(" and {} more", count(rest as u64)) } else { String::new() };
    told.join("; ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_told_from_a_file_and_from_other_hashes() {
        let hex = "0f".repeat(32);
        let id = format!("blake3:{hex}").parse::<ContentId>().unwrap();
        for text in [hex.clone(), format!("blake3:{hex}"), hex.to_uppercase(), format!("BLAKE3:{hex}")] {
            assert_eq!(hash(&text).unwrap(), Some(id), "{text}");
        }
        for file in ["a.jar", "blake3:x", "sha256:x/y", &hex[1..], "", "./deadbeef"] {
            assert_eq!(hash(file).unwrap(), None, "{file}");
        }
        for other in [format!("sha256:{hex}"), "md5:00".into(), "SHA1:abc".into()] {
            assert!(matches!(hash(&other), Err(NotAsked::OtherHash(_))), "{other}");
        }
    }
}
