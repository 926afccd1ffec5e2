//! What is asked of the images that `find` is asked about: to be built on this or that, or to meet a policy.

use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use layerprint_query::{Finding, Fleet, Level, Row, Subject, Verdict};
use serde::Serialize;

use crate::args::{Find, Global};
use crate::day::Day;
use crate::error::Status;
use crate::ingest::now_unix_s;
use crate::output::{either, plain};
use crate::pattern::Pattern;
use crate::policy::{Judge, Policy, held};
use crate::progress::complain;
use crate::store::{self, Published};

/// See the module. Asks nothing if nothing was told.
pub struct Requirement {
    patterns: Vec<Pattern>,
    judge: Option<Judge>,
    /// What is stored, if something is asked.
    fleet: Option<Fleet>,
    unmet: Mutex<Vec<(String, String)>>,
}

/// Whether an image is what was asked for.
#[derive(Debug, Serialize)]
pub struct Judged {
    met: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    offences: Vec<String>,
}

impl Requirement {
    /// Reads what is asked.
    pub fn of(global: &Global, command: &Find) -> anyhow::Result<Self> {
        let judge = command.policy.as_deref().map(|path| -> anyhow::Result<_> {
            let as_of = now_unix_s()?.map_or_else(|| Some(Day::now()), Day::of_unix_s);
            let as_of = as_of.context("SOURCE_DATE_EPOCH is out of all bounds")?;
            Ok(Judge::new(Policy::read(path)?, as_of, Default::default()))
        });
        let judge = judge.transpose()?;
        let is_asked = judge.is_some() || !command.require.is_empty();
        if command.save {
            // It may be the first that is stored.
            store::open_or_create(global)?;
        }
        let fleet = is_asked.then(|| -> anyhow::Result<_> { Ok(Published::open(global)?.ask(Fleet::of)?) });
        let (patterns, fleet) = (command.require.clone(), fleet.transpose()?);
        Ok(Self { patterns, judge, fleet, unmet: Mutex::default() })
    }

    /// Says whether an image is what was asked for, if something was.
    pub fn judge(&self, finding: &Finding, subject: &Subject) -> Option<Judged> {
        let mut row = Row::of(finding.clone(), self.fleet.as_ref()?);
        let mut offences: Vec<String> = self.not_built_on(&row).into_iter().collect();
        if let Some(judge) = &self.judge {
            row.remarks = layerprint_query::remarks(&row);
            judge.judge_with(&mut row, &held(judge.policy(), subject));
            let errors = row.remarks.iter().filter(|remark| remark.level == Level::Error);
            offences.extend(errors.map(|remark| format!("{}: {}", remark.rule.word(), remark.message)));
        }
        let mut unmet = self.unmet.lock().unwrap_or_else(PoisonError::into_inner);
        unmet.extend(offences.iter().map(|offence| (finding.source.clone(), offence.clone())));
        Some(Judged { met: offences.is_empty(), offences })
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

    /// Lists who does not meet it, and returns how that ends.
    pub fn tell(&self) -> Status {
        let mut unmet = self.unmet.lock().unwrap_or_else(PoisonError::into_inner);
        unmet.sort();
        for (source, offence) in unmet.iter() {
            complain(&format!("not met: {}: {}", plain(source), plain(offence)));
        }
        if unmet.is_empty() { Status::Done } else { Status::Nothing }
    }
}
