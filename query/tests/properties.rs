//! What must not change an answer, tried on images of chance, and a second, naive way to the same answer.

use std::collections::BTreeSet;

use crate::common::{Image, Layer, Stored, image, store};
use layerprint_query::{Finding, find};
use layerprint_store::MergedView;
use layerprint_store::id::ContentId;
use proptest::prelude::*;

/// What is stored: releases of some distributions, each with another image on top.
#[derive(Debug, Clone)]
struct Catalogue {
    images: Vec<Image>,
}

/// What is asked about: built on an image of the catalogue, some of whose files may be gone.
#[derive(Debug, Clone)]
struct Question {
    image: Image,
}

fn release(family: u64, number: u64, file_count: u64, changed: u64) -> Image {
    let files = Layer::new().files(&format!("lib/{family}"), family, 0..file_count);
    let files = (0..changed.min(file_count)).fold(files, |files, index| {
        files.file(&format!("lib/{family}/{index:04}"), 1000 + 10 * family + number, index)
    });
    image(&format!("family{family}:{number}")).layer(files)
}

prop_compose! {
    fn catalogue()(
        counts in prop::collection::vec((1_u64..4, 20_u64..120, 1_u64..20, 0_u64..60), 1..5)
    ) -> Catalogue {
        let mut images = Vec::new();
        for (family, (releases, file_count, changed, added)) in (1_u64..).zip(counts) {
            for number in 0..releases {
                let base = release(family, number, file_count, changed * number);
                let on_top = Layer::new().files(&format!("opt/{family}"), 100 + family, 0..added);
                images.push(base.clone().named(&format!("top{family}:{number}")).layer(on_top));
                images.push(base);
            }
        }
        Catalogue { images }
    }
}

prop_compose! {
    fn question()(
        catalogue in catalogue(),
        choice in any::<prop::sample::Index>(),
        gone in 0_u64..30,
        own in 0_u64..50,
        is_squashed in any::<bool>(),
    ) -> (Catalogue, Question) {
        let base = choice.get(&catalogue.images).clone();
        let family = base.name.trim_start_matches(|letter: char| !letter.is_ascii_digit()).split(':').next();
        let lib = format!("lib/{}", family.unwrap_or_default());
        let layer = Layer::new().files("srv", 5000, 0..own).whiteouts(&lib, 0..gone);
        let image = base.named("asked").layer(layer);
        let image = if is_squashed { image.squashed() } else { image };
        (catalogue, Question { image })
    }
}

/// What is said of the base, and nothing of what is new.
fn core(finding: &Finding) -> serde_json::Value {
    let mut value = serde_json::to_value(finding).unwrap();
    let finding = value.as_object_mut().unwrap();
    finding.remove("image");
    finding.remove("new");
    value
}

fn unrelated(number: u64) -> Image {
    image(&format!("unrelated:{number}")).layer(Layer::new().files("srv", 9000 + number, 0..300))
}

/// Of each stored image what is there and how much there is, counted one by one without any bound.
fn shares(stored: &[Image], asked: &Image) -> Vec<(String, u64, u64)> {
    let contents = |image: &Image| -> BTreeSet<ContentId> {
        let view = MergedView::of(image.layers.iter().map(|layer| &**layer));
        view.contents().into_iter().map(|content| content.id).collect()
    };
    let asked = contents(asked);
    let share = |image: &Image| {
        let stored = contents(image);
        (image.name.clone(), stored.intersection(&asked).count() as u64, stored.len() as u64)
    };
    stored.iter().map(share).collect()
}

fn with_threads(count: usize, stored: &Stored, asked: &Image) -> serde_json::Value {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
    let index = stored.index();
    let finding = pool.install(|| find(&index, &asked.subject(), "asked")).unwrap();
    serde_json::to_value(finding).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn unrelated_images_change_nothing((catalogue, Question { image }) in question(), count in 1_u64..8) {
        let stored = store(&catalogue.images);
        let before = core(&stored.find(&image));
        (0..count).for_each(|number| stored.put(&unrelated(number)));
        prop_assert_eq!(core(&stored.find(&image)), before);
    }

    #[test]
    fn unrelated_files_change_no_figure((catalogue, Question { image }) in question(), count in 1_u64..400) {
        let stored = store(&catalogue.images);
        // Without any of its own it could be what the base was slimmed to as well as what that is built on.
        let image = image.layer(Layer::new().files("srv/own", 7999, 0..400));
        let before = stored.find(&image);
        let padded = image.layer(Layer::new().files("srv/padding", 8000, 0..count));
        let after = stored.find(&padded);
        let figures = |finding: &Finding| {
            let base = finding.base.as_ref();
            base.map(|base| (base.names.clone(), base.contents, base.files.clone(), base.agreement.to_bits()))
        };
        prop_assert_eq!((after.verdict, figures(&after)), (before.verdict, figures(&before)));
    }

    #[test]
    fn order_of_storing_and_threads_change_nothing((catalogue, Question { image }) in question()) {
        let stored = store(&catalogue.images);
        let expected = with_threads(1, &stored, &image);
        prop_assert_eq!(with_threads(2, &stored, &image), expected.clone());
        let reversed = store(catalogue.images.iter().rev());
        prop_assert_eq!(with_threads(2, &reversed, &image), expected);
    }

    #[test]
    fn figures_are_those_of_counting_one_by_one((catalogue, Question { image }) in question()) {
        let stored = store(&catalogue.images);
        let finding = stored.find(&image);
        let shares = shares(&catalogue.images, &image);
        match &finding.base {
            Some(base) => {
                let figures = (base.contents.present, base.contents.total);
                let named = |(name, ..): &&(String, u64, u64)| base.names.contains(name);
                let counted: Vec<_> =
                    shares.iter().filter(named).map(|(_, present, total)| (*present, *total)).collect();
                prop_assert!(counted.contains(&figures), "{figures:?} are none of {counted:?}");
            }
            None => {
                let claimable = |(_, present, total): &&(String, u64, u64)| *present >= 5 && present * 100 >= total * 15;
                let lowest = "the best candidate shares files with it, but not those of its own lowest layers";
                let is_excused = finding.reason == lowest || finding.reason.ends_with("are not everybody's");
                prop_assert!(!shares.iter().any(|share| claimable(&share)) || is_excused, "{}", finding.reason);
            }
        }
    }

    /// Whatever lambda is: with more there and less missing, an image must come first.
    #[test]
    fn nothing_that_shares_less_and_lacks_more_wins((catalogue, Question { image }) in question()) {
        let stored = store(&catalogue.images);
        if let Some(base) = stored.find(&image).base {
            let better = shares(&catalogue.images, &image).into_iter().find(|(_, present, total)| {
                *present > base.contents.present
                    && total - present < base.contents.total - base.contents.present
            });
            prop_assert!(better.is_none() || base.layers_shared > 0, "{better:?} beats {:?}", base.names);
        }
    }
}
