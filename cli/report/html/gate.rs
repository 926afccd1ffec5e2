//! What the page says of a policy.

use layerprint_query::{Level, Rule};

use super::view::{RemarkRow, remarks};
use crate::output::{count, counted, path, plain};
use crate::report::gate::{Gate, Offender};
use crate::report::overview::Overview;

/// A verdict, and what it comes from.
pub struct GateView {
    pub is_met: bool,
    pub verdict: String,
    pub exempt: String,
    pub offences: Vec<RemarkRow>,
    pub offenders: Vec<OffenderRow>,
    pub offenders_more: String,
}

/// Who breaks it, there without a script.
pub struct OffenderRow {
    pub id: String,
    pub name: String,
    pub rules: String,
}

impl GateView {
    pub fn of(gate: &Gate, overview: &Overview) -> Self {
        let file = path(gate.policy.file_name().unwrap_or_default().as_encoded_bytes());
        let all = counted(gate.images, "image");
        let verdict = match gate.offenders {
            _ if gate.images == 0 => format!("Not met: no image was asked what {file} asks"),
            0 if !gate.idle.is_empty() => {
                format!("Not met: no stored image is meant by {}", plain(&gate.idle.join(", ")))
            }
            0 if gate.left_out > 0 => {
                format!("Not met: {} that could not be read", count(gate.left_out))
            }
            0 if gate.images == 1 => format!("The {all} meets {file}"),
            0 => format!("All {all} meet {file}"),
            1 => format!("1 of {all} breaks {file}"),
            offenders => format!("{} of {all} break {file}", count(offenders)),
        };
        let exempt = match gate.exempt {
            0 => String::new(),
            1 => "1 is exempt".into(),
            exempt => format!("{} are exempt", count(exempt)),
        };
        Self {
            is_met: gate.is_met(),
            verdict,
            exempt,
            offences: remarks(overview, |level| level == Level::Error),
            offenders: gate.named.iter().map(OffenderRow::of).collect(),
            offenders_more: match gate.offenders - gate.named.len() as u64 {
                0 => String::new(),
                more => format!("and {} more {}", count(more), if more == 1 { "image" } else { "images" }),
            },
        }
    }
}

impl OffenderRow {
    fn of(offender: &Offender) -> Self {
        let rules: Vec<&str> = offender.rules.iter().map(|rule| label(*rule)).collect();
        Self {
            id: offender.id.to_string(),
            name: plain(&offender.name).into_owned(),
            rules: rules.join(", "),
        }
    }
}

/// A rule in words. The script has the same.
pub fn label(rule: Rule) -> &'static str {
    match rule {
        Rule::BaseUnknown => "No base known",
        Rule::BaseUncertain => "Base uncertain",
        Rule::BaseOutdated => "Base outdated",
        Rule::BaseNotAllowed => "Base not allowed",
        Rule::BaseForbidden => "Base forbidden",
        Rule::BaseTooOld => "Base too old",
        Rule::ConfidenceTooLow => "Confidence too low",
        Rule::FileForbidden => "Forbidden file",
        Rule::Exempt => "Exempt",
    }
}
