//! What is asked of the images that `find` is asked about: to be built on this or that, or to meet a policy.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use layerprint_query::{Finding, Fleet, Level, Remark, Row, Subject, Verdict};
use serde::Serialize;

use crate::args::{Find, Global};
use crate::day::AsOf;
use crate::error::{Status, is_closed_pipe};
use crate::output::{either, plain};
use crate::pattern::Pattern;
use crate::policy::{Judge, Policy, held, tell_idle};
use crate::progress::complain;
use crate::store::{self, Published};

/// See the module. Asks nothing if nothing was told.
pub struct Requirement {
    patterns: Vec<Pattern>,
    policy: Option<Asked>,
    /// What is stored, if something is asked.
    fleet: Option<Fleet>,
    asked: AtomicU64,
    unmet: Mutex<Vec<(String, String)>>,
    is_closed: AtomicBool,
}

/// A policy, and to which day it counts.
struct Asked {
    path: PathBuf,
    judge: Judge,
    as_of: AsOf,
}

/// Whether an image is what was asked for.
#[derive(Debug, Serialize)]
pub struct Judged {
    met: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    offences: Vec<String>,
    /// What there is to say, where a policy is asked: also what offends nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remarks: Option<Vec<Remark>>,
}

impl Requirement {
    /// Reads what is asked.
    pub fn of(global: &Global, command: &Find) -> anyhow::Result<Self> {
        let as_of = AsOf::told(command.as_of)?.unwrap_or_else(AsOf::today);
        let policy = command.policy.as_ref().map(|path| -> anyhow::Result<_> {
            let judge = Judge::new(Policy::read(path)?, as_of.day, Default::default());
            Ok(Asked { path: path.clone(), judge, as_of })
        });
        let policy = policy.transpose()?;
        let is_asked = policy.is_some() || !command.require.is_empty();
        if command.save {
            // It may be the first that is stored.
            store::open_or_create(global)?;
        }
        let fleet = is_asked.then(|| -> anyhow::Result<_> { Ok(Published::open(global)?.ask(Fleet::of)?) });
        let fleet = fleet.transpose()?;
        if let Some((Asked { path, judge, .. }, fleet)) = policy.as_ref().zip(fleet.as_ref()) {
            judge.ended().for_each(|ended| complain(&plain(&ended)));
            tell_idle(path, judge.policy().idle_bases(fleet));
        }
        Ok(Self {
            patterns: command.require.clone(),
            policy,
            fleet,
            asked: AtomicU64::new(0),
            unmet: Mutex::default(),
            is_closed: AtomicBool::new(false),
        })
    }

    /// Says whether an image is what was asked for, if something was.
    pub fn judge(&self, finding: &Finding, subject: &Subject) -> Option<Judged> {
        let mut row = Row::of(finding.clone(), self.fleet.as_ref()?);
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut offences: Vec<String> = self.not_built_on(&row).into_iter().collect();
        let remarks = self.policy.as_ref().map(|Asked { judge, .. }| {
            row.remarks = layerprint_query::remarks(&row);
            judge.judge_with(&mut row, &held(judge.policy(), subject));
            row.remarks
        });
        let errors = remarks.iter().flatten().filter(|remark| remark.level == Level::Error);
        offences.extend(errors.map(|remark| format!("{}: {}", remark.rule.word(), remark.message)));
        let mut unmet = self.unmet.lock().unwrap_or_else(PoisonError::into_inner);
        unmet.extend(offences.iter().map(|offence| (finding.source.clone(), offence.clone())));
        Some(Judged { met: offences.is_empty(), offences, remarks })
    }

    fn not_built_on(&self, row: &Row) -> Option<String> {
        let Finding { base, verdict, .. } = &row.finding;
        let names: Vec<&String> = row.base_names().iter().chain(row.lineage_names()).collect();
        let kin = base.iter().flat_map(|base| &base.lineage).flat_map(|kin| &kin.images);
        let own = base.iter().flat_map(|base| &base.images).map(|member| &member.id);
        let ids: Vec<_> = own.chain(kin).collect();
        let is_told = |pattern: &Pattern| {
            names.iter().any(|name| pattern.matches(name)) || ids.iter().any(|id| pattern.is_id(id))
        };
        let is_met = *verdict == Verdict::Base && self.patterns.iter().any(is_told);
        if is_met || self.patterns.is_empty() {
            return None;
        }
        let wanted: Vec<String> = self.patterns.iter().map(ToString::to_string).collect();
        let on = match (verdict, base) {
            (Verdict::Base, _) => format!("built on {}", either(row.base_names())),
            (Verdict::Family, Some(base)) => format!("only like {}", either(&base.names)),
            _ => "no base is known".into(),
        };
        Some(format!("{on}; required is {}", wanted.join(" or ")))
    }

    /// Prints an answer. Whoever has seen enough of them still waits for the status: all are judged then, and no more is printed.
    pub fn print(&self, print: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        if self.is_closed.load(Ordering::Relaxed) {
            return Ok(());
        }
        match print() {
            Err(error) if self.fleet.is_some() && is_closed_pipe(&error) => {
                self.is_closed.store(true, Ordering::Relaxed);
                Ok(())
            }
            printed => printed,
        }
    }

    /// Lists who does not meet it, and returns how that ends. Where nobody was asked, nobody meets it.
    pub fn tell(&self) -> Status {
        let mut unmet = self.unmet.lock().unwrap_or_else(PoisonError::into_inner);
        unmet.sort();
        for (source, offence) in unmet.iter() {
            complain(&format!("not met: {}: {}", plain(source), plain(offence)));
        }
        let nobody = self.fleet.is_some() && self.asked.load(Ordering::Relaxed) == 0;
        if nobody {
            complain("not met: no image was asked");
        }
        let is_met = unmet.is_empty() && !nobody;
        if let Some(Asked { path, as_of, .. }) = self.policy.as_ref().filter(|_| !is_met) {
            complain(&plain(&format!("policy {}: as of {as_of}", path.display())));
        }
        if is_met { Status::Done } else { Status::Nothing }
    }
}
