//! What became of an image since an earlier report.
//!
//! Compares what two reports say of one image; which row of which is about the same image is left to who reads them. A base is
//! another one if it has no stored image and no name in common with the earlier one: what is only built again under its name, or
//! got a further name, is the same.

use layerprint_store::id::ImageId;
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Verdict};
use crate::fleet::family;
use crate::row::Row;

/// What became of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// In a word.
    pub kind: ChangeKind,
    /// What the earlier report said; absent for what is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Was>,
}

/// The kinds of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// More newer images than its base are stored.
    FellBehind,
    /// Its base is not known any more.
    LostBase,
    /// It is built on another base.
    Moved,
    /// Its base was outdated or not known, and is the newest of its family.
    CameBack,
    /// The earlier report does not have it.
    New,
    /// It is not stored any more.
    Gone,
}

impl ChangeKind {
    /// All kinds: what is bad first.
    pub const ALL: [Self; 6] =
        [Self::FellBehind, Self::LostBase, Self::Moved, Self::CameBack, Self::New, Self::Gone];

    /// The kind as it is written everywhere.
    pub fn word(self) -> &'static str {
        match self {
            Self::FellBehind => "fell-behind",
            Self::LostBase => "lost-base",
            Self::Moved => "moved",
            Self::CameBack => "came-back",
            Self::New => "new",
            Self::Gone => "gone",
        }
    }
}

/// What an earlier report said of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Was {
    /// Whether it had a base.
    pub verdict: Verdict,
    /// The names of the base, or of what the image was like.
    pub base: Vec<String>,
    /// How many newer images than the base were stored; absent where no date was known.
    pub newer: Option<u64>,
}

/// What is kept of a row, to be compared.
#[derive(Debug, Clone)]
pub struct Before {
    /// What is told of it.
    pub was: Was,
    /// The stored images of the base.
    pub images: Vec<ImageId>,
}

impl Before {
    /// Takes from a row what is compared.
    pub fn of(row: &Row) -> Self {
        let Finding { verdict, base, .. } = &row.finding;
        let images = base.iter().flat_map(|base| &base.images).map(|member| member.id).collect();
        let names = base.as_ref().map_or_else(Vec::new, |base| base.names.clone());
        let newer = row.freshness.as_ref().map(|freshness| freshness.newer);
        Self { was: Was { verdict: *verdict, base: names, newer }, images }
    }

    /// Returns what became of the image that is this row now.
    pub fn change(&self, row: &Row) -> Option<Change> {
        let kind = self.kind(&Self::of(row))?;
        Some(Change { kind, was: Some(self.was.clone()) })
    }

    fn kind(&self, now: &Self) -> Option<ChangeKind> {
        if !now.has_base() {
            return self.has_base().then_some(ChangeKind::LostBase);
        }
        let is_other = !self.has_base() || !self.shares_base(now);
        let is_kin = !self.has_base() || !is_other || family(&self.was.base) == family(&now.was.base);
        if self.was_behind() && now.is_current() && is_kin {
            Some(ChangeKind::CameBack)
        } else if is_other {
            Some(ChangeKind::Moved)
        } else {
            (now.newer() > self.newer()).then_some(ChangeKind::FellBehind)
        }
    }

    fn has_base(&self) -> bool {
        self.was.verdict == Verdict::Base
    }

    fn newer(&self) -> u64 {
        self.was.newer.unwrap_or(0)
    }

    /// Of a base without a date nobody knows whether it is the newest, nor whether it was outdated.
    fn is_current(&self) -> bool {
        self.has_base() && self.was.newer == Some(0)
    }

    fn was_behind(&self) -> bool {
        !self.has_base() || self.newer() > 0
    }

    fn shares_base(&self, other: &Self) -> bool {
        self.images.iter().any(|id| other.images.contains(id))
            || self.was.base.iter().any(|name| other.was.base.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(base: &str, newer: u64) -> Before {
        let names: Vec<String> = base.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let verdict = if names.is_empty() { Verdict::None } else { Verdict::Base };
        let images = names.iter().map(|name| ImageId::of_config(name.as_bytes())).collect();
        Before { was: Was { verdict, base: names, newer: Some(newer) }, images }
    }

    #[test]
    fn changes_are_told_apart() {
        let (behind, moved, back) = (ChangeKind::FellBehind, ChangeKind::Moved, ChangeKind::CameBack);
        let cases = [
            (("debian:12", 0), ("debian:12", 0), None),
            (("debian:12", 1), ("debian:12", 1), None),
            (("debian:12", 2), ("debian:12", 1), None),
            (("debian:12", 0), ("debian:12", 1), Some(behind)),
            (("debian:12", 0), ("", 0), Some(ChangeKind::LostBase)),
            (("debian:12", 3), ("debian:12", 0), Some(back)),
            (("debian:12", 3), ("debian:13", 0), Some(back)),
            (("debian:12", 3), ("debian:13", 1), Some(moved)),
            (("debian:12", 0), ("debian:13", 0), Some(moved)),
            (("debian:12", 3), ("alpine:3", 0), Some(moved)),
            (("debian:12 corp/base:1", 0), ("corp/base:1", 0), None),
            (("", 0), ("debian:12", 0), Some(back)),
            (("", 0), ("debian:12", 1), Some(moved)),
            (("", 0), ("", 0), None),
        ];
        for ((was, was_newer), (is, is_newer), expected) in cases {
            let told = before(was, was_newer).kind(&before(is, is_newer));
            assert_eq!(told, expected, "{was:?} {was_newer} -> {is:?} {is_newer}");
        }
    }

    #[test]
    fn what_is_not_known_to_be_the_newest_has_not_come_back() {
        let undated = |base: &str| {
            let Before { was, images } = before(base, 0);
            Before { was: Was { newer: None, ..was }, images }
        };
        let cases = [
            (before("", 0), undated("debian:12"), Some(ChangeKind::Moved)),
            (before("debian:12", 3), undated("debian:12"), None),
            (before("debian:12", 3), undated("debian:13"), Some(ChangeKind::Moved)),
            (undated("debian:12"), before("debian:12", 0), None),
            (undated("debian:12"), before("debian:12", 1), Some(ChangeKind::FellBehind)),
        ];
        for (was, is, expected) in cases {
            assert_eq!(was.kind(&is), expected, "{was:?} -> {is:?}");
        }
    }

    #[test]
    fn a_base_that_only_got_another_name_is_the_same() {
        let renamed = Before { was: before("corp/debian:12", 0).was, ..before("debian:12", 0) };
        assert_eq!(before("debian:12", 0).kind(&renamed), None);
    }
}
