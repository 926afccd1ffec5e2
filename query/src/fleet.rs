//! All stored images at one glance: which are of one family, and which of these are newer.
//!
//! Knows names, dates and identities, not files; some hundred bytes an image. What is newer is told by the dates in the
//! configurations, and never by a tag alone, but an image whose tag names an earlier version is no newer one, whenever it was
//! built.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};

use layerprint_store::id::{ContentId, ImageId, SetId};
use layerprint_store::{ImageRecord, Index, Platform, Result};
use serde::{Deserialize, Serialize};

use crate::created;
use crate::finding::Base;
use crate::proper::Tie;
use crate::reference::{Reference, Version, family_of};

/// See the module.
pub struct Fleet {
    members: HashMap<(String, String), Vec<Member>>,
    images: Vec<FleetImage>,
    places: HashMap<ImageId, usize>,
    digest: ContentId,
    last_seen_unix_s: u64,
}

/// A stored image, in a list of all.
#[derive(Debug, Clone)]
pub struct FleetImage {
    /// Its ID.
    pub id: ImageId,
    /// Its names, sorted, each with when it was last seen, in seconds since 1970.
    pub names: Vec<(String, u64)>,
    /// What it runs on.
    pub platform: Platform,
    /// When it was made, as its configuration says.
    pub created: Option<String>,
    /// False if other images have got all its names since: the store keeps what a tag stood for before.
    pub is_current: bool,
    /// Its place in an order in which images that share lower layers stand together: who asks in it reads least.
    pub place: u32,
}

/// An image by one of its names.
struct Member {
    name: String,
    version: Version,
    created: Option<String>,
    made_s: i64,
    platform: Platform,
    set_id: SetId,
    id: ImageId,
}

/// How many stored images came after a base, of its family and flavour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    /// Those with other contents that were made later.
    pub newer: u64,
    /// The last made of them.
    pub newest: Option<Newest>,
}

/// The last made image of a family and flavour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newest {
    /// Its names in that family.
    pub names: Vec<String>,
    /// When it was made, as its configuration says.
    pub created: String,
}

impl Fleet {
    /// Looks at all images of an index.
    pub fn of(index: &Index) -> Result<Self> {
        let mut fleet = Self {
            members: HashMap::new(),
            images: Vec::new(),
            places: HashMap::new(),
            digest: ContentId::EMPTY,
            last_seen_unix_s: 0,
        };
        let (mut records, mut stacks) = (BTreeMap::new(), Vec::new());
        for image in index.images_with_names() {
            let (mut record, names) = image?;
            records.insert(record.id, digest_of(&record, &names));
            stacks.push((std::mem::take(&mut record.layers), record.id, fleet.images.len()));
            fleet.add(record, names);
        }
        stacks.sort_unstable();
        for ((_, _, image), place) in stacks.into_iter().zip(0..) {
            fleet.images[image].place = place;
        }
        mark_current(&mut fleet.images);
        fleet.images.sort_by(|a, b| (first_name(&a.names), a.id).cmp(&(first_name(&b.names), b.id)));
        fleet.places = fleet.images.iter().zip(0..).map(|(image, place)| (image.id, place)).collect();
        fleet.digest = ContentId::of(&records.into_values().flatten().collect::<Vec<u8>>());
        Ok(fleet)
    }

    fn add(&mut self, record: ImageRecord, names: Vec<(String, u64)>) {
        for (name, seen) in &names {
            self.last_seen_unix_s = self.last_seen_unix_s.max(*seen);
            self.add_member(&record, name);
        }
        let ImageRecord { id, platform, created, .. } = record;
        self.images.push(FleetImage { id, names, platform, created, is_current: false, place: 0 });
    }

    fn add_member(&mut self, record: &ImageRecord, name: &str) {
        let (Some(reference), Some(made_s)) = (Reference::of(name), created::made(record)) else { return };
        let Reference { family, flavour, version } = reference;
        let member = Member {
            name: name.to_owned(),
            version,
            created: record.created.clone(),
            made_s,
            platform: record.platform.clone(),
            set_id: record.set_id,
            id: record.id,
        };
        self.members.entry((family.to_owned(), flavour)).or_default().push(member);
    }

    /// Returns all images, by their first name and ID.
    pub fn images(&self) -> &[FleetImage] {
        &self.images
    }

    /// Returns an image.
    pub fn image(&self, id: &ImageId) -> Option<&FleetImage> {
        self.places.get(id).map(|place| &self.images[*place])
    }

    /// Identifies what is stored: two stores have the same exactly if they hold the same images under the same names.
    pub fn digest(&self) -> ContentId {
        self.digest
    }

    /// Returns when a name was last seen, in seconds since 1970.
    pub fn last_seen_unix_s(&self) -> u64 {
        self.last_seen_unix_s
    }

    /// Returns how fresh the base of an image is. Nothing where no date of the base is known or it has no name.
    pub fn freshness(&self, image: &ImageId, base: &Base) -> Option<Freshness> {
        let tie = Tie::of(self, base.images.iter().map(|member| member.id));
        let own: HashSet<ImageId> = tie.own.iter().map(|image| image.id).collect();
        let references: Vec<Reference> = tie.own_names().filter_map(Reference::of).collect();
        let of_kin = |reference: &Reference| {
            self.members.get(&(reference.family.to_owned(), reference.flavour.clone())).into_iter().flatten()
        };
        let known = || references.iter().flat_map(|own| of_kin(own).map(move |member| (own, member)));
        // Of images with the same contents, in the base's own family, the last counts: who builds it again and gets the same has
        // nothing newer.
        let base_members = known().map(|(_, member)| member).filter(|member| own.contains(&member.id));
        let base = base_members.max_by_key(|member| member.made_s)?;
        let is_newer = |(reference, member): &(&Reference, &Member)| {
            member.set_id != base.set_id
                && member.id != *image
                && member.platform.fits(&base.platform)
                && member.is_newer(base.made_s, told_most(&references, reference))
        };
        let newer: Vec<&Member> = known().filter(is_newer).map(|(_, member)| member).collect();
        let sets: HashSet<SetId> = newer.iter().map(|member| member.set_id).collect();
        Some(Freshness { newer: sets.len() as u64, newest: newest(&newer) })
    }
}

/// Of the images that had a name on one platform, those have it that were last seen with it; of several that were seen in the
/// same second, those that were made last.
fn mark_current(images: &mut [FleetImage]) {
    let seen_and_made =
        |image: &FleetImage, seen: u64| (seen, image.created.as_deref().and_then(created::seconds));
    let mut last: HashMap<(String, Platform), (u64, Option<i64>)> = HashMap::new();
    for image in images.iter() {
        for (name, seen) in &image.names {
            let last = last.entry((name.clone(), image.platform.clone())).or_default();
            *last = (*last).max(seen_and_made(image, *seen));
        }
    }
    for image in images {
        let has = |(name, seen): &(String, u64)| {
            last.get(&(name.clone(), image.platform.clone())) == Some(&seen_and_made(image, *seen))
        };
        image.is_current = image.names.is_empty() || image.names.iter().any(has);
    }
}

impl Member {
    /// Returns true if it came after a base that was made then and is of this version.
    fn is_newer(&self, made_s: i64, version: &Version) -> bool {
        let is_released = !self.version.is_early() || version.is_early();
        // Who builds reproducibly gives all releases one date; then only the version tells.
        let may_be = match self.version.compared(version) {
            Some(Ordering::Greater) => self.made_s >= made_s,
            Some(Ordering::Equal) => self.made_s > made_s,
            Some(Ordering::Less) | None => false,
        };
        is_released && may_be
    }
}

/// The most that the names of one family and flavour say of the version.
fn told_most<'r>(references: &'r [Reference], like: &'r Reference) -> &'r Version {
    let same =
        references.iter().filter(|other| (other.family, &other.flavour) == (like.family, &like.flavour));
    same.map(|reference| &reference.version).max_by_key(|version| version.numbers()).unwrap_or(&like.version)
}

fn newest(newer: &[&Member]) -> Option<Newest> {
    let mut newer = newer.to_vec();
    newer.sort_by(|a, b| (a.id, &a.name).cmp(&(b.id, &b.name)));
    let last = newer.iter().max_by(|a, b| {
        let by_version = || a.version.compared(&b.version).unwrap_or(Ordering::Equal);
        a.made_s.cmp(&b.made_s).then_with(by_version)
    })?;
    let same = newer.iter().filter(|member| member.id == last.id);
    let mut names: Vec<String> = same.map(|member| member.name.clone()).collect();
    names.sort();
    names.dedup();
    Some(Newest { names, created: last.created.clone()? })
}

/// Returns the family of an image with these names: that of the shortest path, which the others mostly are copies of.
pub fn family(names: &[String]) -> Option<String> {
    let families = names.iter().filter_map(|name| family_of(name));
    let shortest = families.min_by_key(|family| (family.matches('/').count(), *family));
    shortest.map(str::to_owned)
}

fn first_name(names: &[(String, u64)]) -> Option<&str> {
    names.first().map(|(name, _)| &**name)
}

/// What makes an image what it is to others, for [`Fleet::digest`]. When it was seen does not.
fn digest_of(record: &ImageRecord, names: &[(String, u64)]) -> Vec<u8> {
    let names: Vec<&str> = names.iter().map(|(name, _)| &**name).collect();
    let told =
        format!("{} {} {:?} {:?} {names:?}\n", record.id, record.set_id, record.platform, record.created);
    ContentId::of(told.as_bytes()).as_bytes().to_vec()
}
