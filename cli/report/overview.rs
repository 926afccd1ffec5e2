//! A whole fleet in a few figures, added up row by row: what charts show.
//!
//! Holds what there are distinct bases of, never the rows. The same rows in the same order give the same figures. Knows
//! nothing of how they are drawn.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use layerprint_query::{Base, ChangeKind, Kind, Level, Row, Rule, Verdict, family};
use layerprint_store::id::ImageId;

use super::summary::Answer;
use crate::day::Day;

/// Images of which the same is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnswerSum {
    pub images: u64,
    /// Sizes of all their contents.
    pub bytes: u64,
    /// Of those, what no stored image explains.
    pub new_bytes: u64,
}

/// The images whose base is of one family.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FamilySum {
    pub name: String,
    /// Images whose base is named.
    pub sure: u64,
    /// Images of which only the family is known.
    pub unsure: u64,
}

impl FamilySum {
    pub fn images(&self) -> u64 {
        self.sure + self.unsure
    }
}

/// What images of the report stand on, or what a base of theirs stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseSum {
    pub names: Vec<String>,
    pub family: Option<String>,
    pub created: Option<String>,
    /// What it stands on itself: a place in the list of bases.
    pub parent: Option<usize>,
    /// Images directly on it.
    pub images: u64,
    /// Newer stored images of its family and flavour; absent where no date is known.
    pub newer: Option<u64>,
    /// The names of the newest of them.
    pub newest: Vec<String>,
}

impl BaseSum {
    pub fn is_outdated(&self) -> bool {
        self.newer.is_some_and(|newer| newer > 0)
    }
}

/// The bases that were made at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// Places in the list of bases.
    pub bases: BTreeSet<usize>,
    /// Images on them of which none newer is stored, or of which that is not known.
    pub current: u64,
    /// Images on them of which newer ones are stored.
    pub outdated: u64,
}

impl Made {
    pub fn images(&self) -> u64 {
        self.current + self.outdated
    }
}

/// The figures of all rows.
#[derive(Debug, Default)]
pub struct Overview {
    pub images: u64,
    /// In the order of answers.
    pub answers: [AnswerSum; 5],
    /// Images that stand on a base of which newer ones are stored.
    pub outdated: u64,
    /// In the order in which rows name them.
    pub bases: Vec<BaseSum>,
    /// Images with such remarks: each once, however many it has.
    pub remarks: BTreeMap<(Rule, Level), u64>,
    /// Images by what became of them since an earlier report.
    pub changes: BTreeMap<ChangeKind, u64>,
    /// What was made when; nothing where no date is known.
    pub made: BTreeMap<Option<Day>, Made>,
    families: BTreeMap<String, FamilySum>,
    by_names: HashMap<Vec<String>, usize>,
    by_id: HashMap<ImageId, usize>,
}

impl Overview {
    pub fn add(&mut self, row: &Row) {
        self.images += 1;
        let answer = Answer::of(row);
        self.add_answer(row, answer);
        self.outdated += u64::from(row.freshness.as_ref().is_some_and(|fresh| fresh.newer > 0));
        let remarks: BTreeSet<_> = row.remarks.iter().map(|remark| (remark.rule, remark.level)).collect();
        remarks.into_iter().for_each(|remark| *self.remarks.entry(remark).or_default() += 1);
        if let Some(change) = &row.change {
            *self.changes.entry(change.kind).or_default() += 1;
        }
        if let Some(base) = &row.finding.base {
            self.add_family(row, answer);
            self.add_base(row, base);
        }
    }

    fn add_answer(&mut self, row: &Row, answer: Answer) {
        let sum = &mut self.answers[answer as usize];
        sum.images += 1;
        for part in &row.made_of {
            sum.bytes += part.bytes;
            sum.new_bytes += if part.kind == Kind::New { part.bytes } else { 0 };
        }
    }

    fn add_family(&mut self, row: &Row, answer: Answer) {
        if answer > Answer::Family {
            return;
        }
        let name = row.family.clone().unwrap_or_default();
        let sum =
            self.families.entry(name.clone()).or_insert_with(|| FamilySum { name, ..FamilySum::default() });
        *if answer == Answer::Family { &mut sum.unsure } else { &mut sum.sure } += 1;
    }

    /// Of a mere family nobody is the base, but what its best candidate stands on is known as any other.
    fn add_base(&mut self, row: &Row, base: &Base) {
        let kin = base.lineage.iter().map(|kin| self.enter(&kin.names)).collect::<Vec<_>>();
        for pair in kin.windows(2) {
            self.stand(pair[0], pair[1]);
        }
        if row.finding.verdict != Verdict::Base {
            return;
        }
        let at = self.enter(&base.names);
        if let Some(parent) = kin.first() {
            self.stand(at, *parent);
        }
        for member in &base.images {
            self.by_id.insert(member.id, at);
        }
        self.add_made(row, at);
        let sum = &mut self.bases[at];
        sum.images += 1;
        sum.created = sum.created.take().or_else(|| row.base_created().map(str::to_owned));
        // An image that is itself newer than its base does not count itself: most is known by the others.
        if let Some(fresh) = row.freshness.as_ref().filter(|fresh| Some(fresh.newer) >= sum.newer) {
            sum.newer = Some(fresh.newer);
            sum.newest = fresh.newest.as_ref().map(|newest| newest.names.clone()).unwrap_or_default();
        }
    }

    /// A base may be several images, which were made at several times: each row says it of its own.
    fn add_made(&mut self, row: &Row, at: usize) {
        let made = self.made.entry(row.base_created().and_then(Day::of_rfc3339)).or_default();
        let is_outdated = row.freshness.as_ref().is_some_and(|fresh| fresh.newer > 0);
        made.bases.insert(at);
        *if is_outdated { &mut made.outdated } else { &mut made.current } += 1;
    }

    fn enter(&mut self, names: &[String]) -> usize {
        if let Some(at) = self.by_names.get(names) {
            return *at;
        }
        let at = self.bases.len();
        self.by_names.insert(names.to_vec(), at);
        let names = names.to_vec();
        let family = family(&names);
        self.bases.push(BaseSum {
            names,
            family,
            created: None,
            parent: None,
            images: 0,
            newer: None,
            newest: Vec::new(),
        });
        at
    }

    /// Lets a base stand on another, unless that one stands on it: rows may contradict each other, a tree must end.
    fn stand(&mut self, at: usize, on: usize) {
        let is_free = self.bases[at].parent.is_none();
        if is_free && self.line(on).all(|ancestor| ancestor != at) {
            self.bases[at].parent = Some(on);
        }
    }

    /// A base and what it stands on, the oldest last.
    pub fn line(&self, at: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(at), |at| self.bases[*at].parent)
    }

    /// Families by how many images stand on them, the most first; then by name. The empty name stands for bases that
    /// have none.
    pub fn families(&self) -> Vec<&FamilySum> {
        let mut families: Vec<&FamilySum> = self.families.values().collect();
        families.sort_by(|a, b| b.images().cmp(&a.images()).then_with(|| a.name.cmp(&b.name)));
        families
    }

    pub fn base_of(&self, names: &[String]) -> Option<usize> {
        self.by_names.get(names).copied()
    }

    /// Which base an image of the report is itself.
    pub fn is_base(&self, row: &Row) -> Option<usize> {
        let image = &row.finding.image;
        let by_name = || self.by_names.get(&image.names).filter(|at| self.bases[**at].images == 0);
        self.by_id.get(&image.id).or_else(by_name).copied()
    }

    /// Bases of which newer ones are stored, as places in the list: those that most images stand on first.
    pub fn outdated_bases(&self) -> Vec<usize> {
        let is_meant = |at: &usize| self.bases[*at].is_outdated() && self.bases[*at].images > 0;
        let mut outdated: Vec<usize> = (0..self.bases.len()).filter(is_meant).collect();
        outdated.sort_by(|a, b| {
            let [a, b] = [a, b].map(|at| &self.bases[*at]);
            b.images.cmp(&a.images).then_with(|| a.names.cmp(&b.names))
        });
        outdated
    }

    /// Images that stand on each base, directly or on others that do.
    pub fn images_above(&self) -> Vec<u64> {
        let mut above = vec![0; self.bases.len()];
        for at in 0..self.bases.len() {
            for ancestor in self.line(at) {
                above[ancestor] += self.bases[at].images;
            }
        }
        above
    }

    pub fn sum(&self, answer: Answer) -> AnswerSum {
        self.answers[answer as usize]
    }

    /// Images whose base is named.
    pub fn based(&self) -> u64 {
        self.sum(Answer::ByLayers).images + self.sum(Answer::ByContent).images
    }
}

#[cfg(test)]
pub(super) mod tests {
    use layerprint_query::Remark;
    use serde_json::{Value, json};

    use super::*;

    fn id(name: &str) -> String {
        format!("sha256:{}", blake3::hash(name.as_bytes()).to_hex())
    }

    /// A row of 100 bytes, 40 of them new; `on` names the base first and then what that stands on.
    pub fn row(name: &str, verdict: &str, on: &[&str], newer: u64) -> Row {
        let kin = |name: &&str| json!({ "names": [name], "evidence": "chain-id", "containment": 1.0, "set_id": id(name).replace("sha256", "blake3") });
        let base = on.first().map(|base| {
            json!({
                "names": [base], "images": [{ "id": id(base), "platform": "linux/amd64", "created": "2026-01-02T00:00:00Z" }],
                "evidence": "chain-id", "containment": 1.0, "contents": { "present": 1, "total": 1 },
                "bytes": { "present": 1, "total": 1 }, "agreement": 1.0, "agreement_bytes": 1.0,
                "files": { "total": 1, "same": 1, "moved": 0, "modified": 0, "deleted": 0, "same_bytes": 1, "modified_bytes": 0, "moved_to": null },
                "layers_shared": 1, "score": 1.0, "lambda": 1.0, "lineage": on[1..].iter().map(kin).collect::<Vec<Value>>(),
            })
        });
        serde_json::from_value(json!({
            "source": name,
            "image": {
                "id": id(name), "names": [name], "platform": "linux/amd64", "created": null, "layers": 1, "files": 1,
                "contents": 1, "content_bytes": 100, "same_content_as": [],
            },
            "verdict": verdict, "base": base, "runner_up": null, "cover": [],
            "new": { "files": { "present": 1, "total": 1 }, "bytes": 40 }, "confidence": 1.0, "reason": "",
            "family": on.first().map(|base| base.split(':').next()),
            "freshness": (verdict == "base").then(|| json!({ "newer": newer, "newest": null })),
            "made_of": [
                { "kind": "base", "names": on, "contents": 1, "bytes": 60 },
                { "kind": "new", "names": [], "contents": 1, "bytes": 40 },
            ],
            "children": 0, "remarks": [],
        }))
        .unwrap()
    }

    fn overview(rows: &[Row]) -> Overview {
        let mut overview = Overview::default();
        rows.iter().for_each(|row| overview.add(row));
        overview
    }

    #[test]
    fn images_are_counted_by_answer_family_and_base() {
        let rows = [
            row("app:1", "base", &["python:3", "debian:12"], 2),
            row("app:2", "base", &["python:3", "debian:12"], 2),
            row("app:3", "base", &["debian:12"], 0),
            row("app:4", "family", &["python:4"], 0),
            row("app:5", "none", &[], 0),
            Row { children: 1, is_base: true, ..row("debian:12", "none", &[], 0) },
        ];
        let told = overview(&rows);
        let images = told.answers.map(|sum| (sum.images, sum.bytes, sum.new_bytes));
        assert_eq!(images, [(3, 300, 120), (0, 0, 0), (1, 100, 40), (1, 100, 40), (1, 100, 40)]);
        assert_eq!((told.images, told.based(), told.outdated), (6, 3, 2));
        let families: Vec<_> = told.families().iter().map(|sum| (&*sum.name, sum.sure, sum.unsure)).collect();
        assert_eq!(families, [("python", 2, 1), ("debian", 1, 0)]);
        let bases: Vec<_> =
            told.bases.iter().map(|base| (&*base.names[0], base.images, base.parent)).collect();
        assert_eq!(bases, [("debian:12", 1, None), ("python:3", 2, Some(0))]);
        assert_eq!(told.images_above(), [3, 2]);
        assert_eq!((told.is_base(&rows[5]), told.is_base(&rows[0])), (Some(0), None));
    }

    /// Walks the tree from its roots. Returns how often each base is met.
    fn met(overview: &Overview) -> Vec<usize> {
        let mut met = vec![0; overview.bases.len()];
        let is_root = |at: &usize| overview.bases[*at].parent.is_none();
        let mut left: Vec<usize> = (0..overview.bases.len()).filter(is_root).collect();
        while let Some(at) = left.pop() {
            met[at] += 1;
            left.extend((0..overview.bases.len()).filter(|above| overview.bases[*above].parent == Some(at)));
        }
        met
    }

    #[test]
    fn images_that_are_bases_of_each_other_are_in_the_tree_once_each() {
        let rings: [&[&[&str]]; 5] = [
            &[&["a:1", "b:1"], &["b:1", "a:1"]],
            &[&["a:1", "b:1", "a:1"], &["b:1", "a:1", "b:1"]],
            &[&["a:1", "b:1", "c:1"], &["b:1", "c:1", "a:1"], &["c:1", "a:1", "b:1"]],
            &[&["a:1", "b:1", "c:1", "a:1"], &["c:1", "a:1", "b:1", "c:1"], &["b:1", "c:1", "a:1"]],
            &[&["app:1", "a:1", "b:1"], &["a:1", "b:1", "a:1"], &["b:1", "a:1"], &["app:2", "b:1", "a:1"]],
        ];
        for ring in rings {
            let rows: Vec<Row> =
                ring.iter().map(|row_| Row { children: 1, ..row(row_[0], "base", &row_[1..], 0) }).collect();
            let told = overview(&rows);
            assert_eq!(met(&told), vec![1; told.bases.len()], "{ring:?}");
            // Each image is at the one base that it is itself, or at the one that it stands on.
            for row in &rows {
                let on = told.base_of(&row.finding.base.as_ref().unwrap().names);
                assert!(told.is_base(row).or(on).is_some(), "{ring:?}");
            }
            let roots = (0..told.bases.len()).filter(|at| told.bases[*at].parent.is_none());
            let above: u64 = roots.map(|at| told.images_above()[at]).sum();
            assert_eq!(above, rows.len() as u64, "{ring:?}");
        }
    }

    #[test]
    fn an_image_counts_once_for_a_rule_however_many_remarks_it_has() {
        let mut held = row("app:1", "none", &[], 0);
        let remark = |message: &str| Remark::new(Rule::FileForbidden, Level::Error, message.into());
        held.remarks = vec![remark("one"), remark("two")];
        let told = overview(&[held.clone(), held]);
        assert_eq!(told.remarks, BTreeMap::from([((Rule::FileForbidden, Level::Error), 2)]));
    }

    #[test]
    fn rows_that_contradict_each_other_make_no_ring() {
        let rows = [row("app:1", "base", &["a:1", "b:1"], 0), row("app:2", "base", &["b:1", "a:1"], 0)];
        let told = overview(&rows);
        let parents: Vec<_> = told.bases.iter().map(|base| base.parent).collect();
        assert_eq!((parents, told.images_above()), (vec![None, Some(0)], vec![2, 1]));
        let itself = overview(&[row("app:1", "base", &["a:1", "a:1"], 0)]);
        assert_eq!(itself.bases[0].parent, None);
    }
}
