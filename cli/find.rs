//! `layerprint find`

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use anstyle::{AnsiColor, Style};
use anyhow::Context;
use layerprint_ingest::Options;
use layerprint_query::{
    Base, Evidence, Finding, Part, Questions, RunnerUp, Subject, Verdict, find, whole_percent,
};
use serde::Serialize;

use crate::args::{Find, Global};
use crate::batch::{self, Answers, CannotTell};
use crate::error::Status;
use crate::ingest::options;
use crate::output::{bytes, count, counted, names, percent, plain, print_json, print_json_now, short};
use crate::progress::complain;
use crate::requirement::{Judged, Requirement};
use crate::store::{self, Published};
use crate::subjects::{Reader, Trouble};

pub fn run(global: &Global, command: &Find) -> anyhow::Result<Status> {
    let requirement = Requirement::of(global, command)?;
    let status = match command.batch {
        true => batch(global, command, &requirement)?,
        false => answer(global, command, &|finding, subject| {
            let judged = requirement.judge(finding, subject);
            requirement.print(|| print_judged(global, finding, judged.as_ref()))
        })?,
    };
    Ok(status.max(requirement.tell()))
}

/// Hands on what is found of each image, in order.
pub fn answer(
    global: &Global,
    command: &Find,
    on_finding: &(dyn Fn(&Finding, &Subject) -> anyhow::Result<()> + Sync),
) -> anyhow::Result<Status> {
    let store = command.save.then(|| store::open_or_create(global)).transpose()?;
    let published = match &store {
        Some(store) => Published::of(store.index()?),
        None => Published::open(global)?,
    };
    let options = options(&command.sources)?;
    let reader = Reader { global, published: &published, options, store: store.as_ref() };
    let trouble = |trouble: &Trouble| {
        trouble.complain();
        Ok(())
    };
    let ask = |origin: &str, subject: &Subject| ask(&published, origin, subject, on_finding);
    let status = batch::one_by_one(&reader, &command.sources, &Answers { ask: &ask, trouble: &trouble })?;
    Ok(status.max(published.report_unreadable()?))
}

/// Prints what is found of each image as soon as it is, a line of JSON for each.
fn batch(global: &Global, command: &Find, requirement: &Requirement) -> anyhow::Result<Status> {
    let published = Published::open(global)?;
    let options = options(&command.sources)?;
    let workers = options.jobs;
    // Each source is read by one thread; there are others to work on.
    let reader = Reader {
        global: &Global { quiet: true, ..global.clone() },
        published: &published,
        options: Options { jobs: 1, ..options },
        store: None,
    };
    let tally = Tally::default();
    let index = published.index();
    let questions = Questions::new(&index);
    let ask = |origin: &str, subject: &Subject| {
        let finding = questions.find(subject, origin)?;
        tally.count(finding.verdict);
        let judged = requirement.judge(&finding, subject);
        let told = Told { finding: &finding, judged: judged.as_ref() };
        requirement.print(|| print_json_now(&told)).context(CannotTell)?;
        Ok(status_of(finding.verdict))
    };
    let trouble = |trouble: &Trouble| {
        tally.failed.fetch_add(1, Ordering::Relaxed);
        requirement.print(|| print_json_now(trouble))
    };
    let status =
        batch::at_once(&reader, &command.sources, workers, &Answers { ask: &ask, trouble: &trouble })?;
    if !global.quiet {
        complain(&tally.told());
    }
    Ok(status.max(published.report_unreadable()?))
}

fn ask(
    published: &Published,
    origin: &str,
    subject: &Subject,
    on_finding: &dyn Fn(&Finding, &Subject) -> anyhow::Result<()>,
) -> anyhow::Result<Status> {
    let finding = published.ask(|index| find(index, subject, origin))?;
    on_finding(&finding, subject).context(CannotTell)?;
    Ok(status_of(finding.verdict))
}

/// What a batch came to.
#[derive(Default)]
struct Tally {
    base: AtomicU64,
    family: AtomicU64,
    none: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    fn count(&self, verdict: Verdict) {
        let counter = match verdict {
            Verdict::Base => &self.base,
            Verdict::Family => &self.family,
            Verdict::None => &self.none,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn told(&self) -> String {
        let [base, family, none, failed] = [&self.base, &self.family, &self.none, &self.failed]
            .map(|counter| counter.load(Ordering::Relaxed));
        format!(
            "{}: {} base, {} family, {} none; {} failed",
            counted(base + family + none, "image"),
            count(base),
            count(family),
            count(none),
            count(failed)
        )
    }
}

fn status_of(verdict: Verdict) -> Status {
    if verdict == Verdict::None { Status::Nothing } else { Status::Done }
}

/// A finding, and whether it is what was asked for.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    #[serde(flatten)]
    judged: Option<&'a Judged>,
}

/// Prints a finding in the form asked for.
pub fn print(global: &Global, finding: &Finding) -> anyhow::Result<()> {
    print_judged(global, finding, None)
}

fn print_judged(global: &Global, finding: &Finding, judged: Option<&Judged>) -> anyhow::Result<()> {
    match global.json {
        true => print_json(&Told { finding, judged }),
        false => Ok(print_text(&mut anstream::stdout().lock(), finding, judged)?),
    }
}

pub const BOLD: Style = Style::new().bold();
pub const DIM: Style = Style::new().dimmed();

pub fn style_of(verdict: Verdict) -> Style {
    let color = match verdict {
        Verdict::Base => AnsiColor::Green,
        Verdict::Family => AnsiColor::Yellow,
        Verdict::None => AnsiColor::Red,
    };
    color.on_default().bold()
}

fn print_text(out: &mut impl Write, finding: &Finding, judged: Option<&Judged>) -> io::Result<()> {
    let image = &finding.image;
    writeln!(out, "{BOLD}{}{BOLD:#}", plain(&finding.source))?;
    row(
        out,
        "image",
        &format!(
            "{}  {}, {} {}, {} files, {}",
            short(image.id),
            plain(&image.platform),
            image.layers,
            if image.layers == 1 { "layer" } else { "layers" },
            count(image.files),
            bytes(image.content_bytes)
        ),
    )?;
    let style = style_of(finding.verdict);
    match (finding.verdict, &finding.base) {
        (Verdict::Base, Some(base)) => {
            row(
                out,
                "base",
                &format!(
                    "{style}{}{style:#}  {}{}",
                    names(&base.names),
                    evidence(base.evidence),
                    sure(finding)
                ),
            )?;
        }
        (Verdict::Family, Some(base)) => {
            row(out, "family", &format!("{style}like {}{style:#}{}", names(&base.names), sure(finding)))?;
            row(out, "", &plain(&finding.reason))?;
        }
        _ => {
            row(out, "base", &format!("{style}none known{style:#}"))?;
            row(out, "", &plain(&finding.reason))?;
        }
    }
    if let Some(base) = &finding.base {
        print_base(out, base)?;
    }
    for part in &finding.cover {
        row(out, "with", &part_line(part))?;
    }
    // That a part's holder is not the base has been said.
    let is_part = |names: &[String]| finding.cover.iter().any(|part| part.names == names);
    if let Some(runner_up) = finding.runner_up.as_ref().filter(|runner_up| !is_part(&runner_up.names)) {
        print_runner_up(out, runner_up)?;
    }
    print_new(out, finding)?;
    if !image.same_content_as.is_empty() {
        row(out, "same as", &names(&image.same_content_as))?;
    }
    print_remarks(out, judged)?;
    writeln!(out)
}

fn print_remarks(out: &mut impl Write, judged: Option<&Judged>) -> io::Result<()> {
    let mut remarks = judged.iter().filter_map(|judged| judged.remarks.as_ref()).flatten();
    remarks.try_for_each(|remark| {
        let text = format!("{}: {}", remark.rule.word(), plain(&remark.message));
        row(out, remark.level.word(), &text)
    })
}

fn print_base(out: &mut impl Write, base: &Base) -> io::Result<()> {
    let files = &base.files;
    row(
        out,
        "kept",
        &format!(
            "{} of its contents ({} of {}; {} of {})",
            percent(base.containment),
            count(base.contents.present),
            count(base.contents.total),
            bytes(base.bytes.present),
            bytes(base.bytes.total),
        ),
    )?;
    row(
        out,
        "",
        &format!(
            "{} files: {} same, {} moved, {} modified, {} deleted",
            count(files.total),
            count(files.same),
            count(files.moved),
            count(files.modified),
            count(files.deleted),
        ),
    )?;
    if let Some(folder) = &files.moved_to {
        row(out, "", &format!("its tree stands in {}/", plain(folder)))?;
    }
    for (index, kin) in base.lineage.iter().enumerate() {
        let label = if index == 0 { "on" } else { "" };
        row(out, label, &format!("{}  {DIM}{}{DIM:#}", names(&kin.names), evidence(kin.evidence)))?;
    }
    Ok(())
}

fn print_runner_up(out: &mut impl Write, runner_up: &RunnerUp) -> io::Result<()> {
    row(
        out,
        "not",
        &format!(
            "{}  {DIM}{}; the image has {} contents that only the base has, {} that only this has{DIM:#}",
            names(&runner_up.names),
            percent(runner_up.containment),
            count(runner_up.only_base),
            count(runner_up.only_runner_up),
        ),
    )?;
    for path in &runner_up.only_base_paths {
        row(out, "", &format!("{DIM}+ {}{DIM:#}", plain(path)))?;
    }
    for path in &runner_up.only_runner_up_paths {
        row(out, "", &format!("{DIM}- {}{DIM:#}", plain(path)))?;
    }
    Ok(())
}

/// A part as a line: who holds it, how much it is, and where it stands.
pub fn part_line(part: &Part) -> String {
    format!(
        "{}  {} in {} ({} of it)",
        names(&part.names),
        counted(part.files, "file"),
        place(part),
        percent(part.share)
    )
}

fn place(part: &Part) -> String {
    let folder = |path: &str| if path.is_empty() { "/".into() } else { format!("{}/", plain(path)) };
    match part.from == part.to {
        true => folder(&part.to),
        false => format!("{}, its {}", folder(&part.to), folder(&part.from)),
    }
}

fn print_new(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let new = &finding.new;
    row(
        out,
        "new",
        &format!("{} of {} files, {}", count(new.files.present), count(new.files.total), bytes(new.bytes)),
    )
}

/// How sure the answer is. Layers are certain, which goes without saying.
fn sure(finding: &Finding) -> String {
    let is_certain = finding.confidence >= 1.0;
    if is_certain { String::new() } else { format!(", {} sure", whole_percent(finding.confidence)) }
}

pub fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::ChainId => "by layers",
        Evidence::Content => "by content",
    }
}

pub fn row(out: &mut impl Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {label:<8} {text}")
}
