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
use crate::store::Published;

/// See the module. Asks nothing if nothing was told.
pub struct Requirement {
    patterns: Vec<Pattern>,
    policy: Option<(Judge, Fleet)>,
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
        let policy = command.policy.as_deref().map(|path| -> anyhow::Result<_> {
            let as_of = now_unix_s()?.map_or_else(|| Some(Day::now()), Day::of_unix_s);
            let as_of = as_of.context("SOURCE_DATE_EPOCH is out of all bounds")?;
            let judge = Judge::new(Policy::read(path)?, as_of, Default::default());
            Ok((judge, Fleet::of(&Published::open(global)?.index())?))
        });
        Ok(Self { patterns: command.require.clone(), policy: policy.transpose()?, unmet: Mutex::default() })
    }

    /// Says whether an image is what was asked for, if something was.
    pub fn judge(&self, finding: &Finding, subject: &Subject) -> Option<Judged> {
        if self.patterns.is_empty() && self.policy.is_none() {
            return None;
        }
        let mut offences: Vec<String> = self.not_built_on(finding).into_iter().collect();
        if let Some((judge, fleet)) = &self.policy {
            let mut row = Row::of(finding.clone(), fleet);
            row.remarks = layerprint_query::remarks(&row);
            judge.judge_with(&mut row, &held(judge.policy(), subject));
            let errors = row.remarks.iter().filter(|remark| remark.level == Level::Error);
            offences.extend(errors.map(|remark| format!("{}: {}", remark.rule.word(), remark.message)));
        }
        let mut unmet = self.unmet.lock().unwrap_or_else(PoisonError::into_inner);
        unmet.extend(offences.iter().map(|offence| (finding.source.clone(), offence.clone())));
        Some(Judged { met: offences.is_empty(), offences })
    }

    fn not_built_on(&self, finding: &Finding) -> Option<String> {
        let base = finding.base.as_ref();
        let is_told = |pattern: &Pattern| {
            base.is_some_and(|base| {
                let below = base.lineage.iter().flat_map(|kin| &kin.names);
                let is_named = base.names.iter().chain(below).any(|name| pattern.matches(name));
                is_named || base.images.iter().any(|member| pattern.is_id(&member.id))
            })
        };
        let is_met = finding.verdict == Verdict::Base && self.patterns.iter().any(is_told);
        if is_met || self.patterns.is_empty() {
            return None;
        }
        let wanted: Vec<String> = self.patterns.iter().map(ToString::to_string).collect();
        let on = match (finding.verdict, base) {
            (Verdict::Base, Some(base)) => format!("built on {}", either(&base.names)),
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
