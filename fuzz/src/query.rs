//! Every question of an index, asked once, of whatever it holds.

use layerprint_store::id::{BlobDigest, ChainId, ContentId};
use layerprint_store::{Index, Platform, StoreError};

type Result = std::result::Result<(), StoreError>;

/// Asks about what is there and what is not. An error is an answer; only the first ends the asking about one image.
pub fn ask(index: &Index) {
    _ = index.stats();
    index.images_with_names().for_each(drop);
    for image in index.images().take(8) {
        let Ok(image) = image else { continue };
        drop(ask_image(index, &image));
    }
    drop(ask_absent(index));
}

fn ask_image(index: &Index, image: &layerprint_store::ImageRecord) -> Result {
    index.image(&image.id)?;
    for name in index.names_of(&image.id)? {
        index.images_named(&name)?;
        drop(index.resolve(&name));
    }
    drop(index.resolve(&image.id.to_string()));
    drop(index.resolve(&image.id.to_hex()[..12]));
    index.images_by_set(&image.set_id)?;
    for chain in ChainId::of_prefixes(&image.layers) {
        index.images_by_chain(&chain)?;
        index.images_above(&chain)?;
    }
    image.manifests.iter().try_for_each(|manifest| index.image_of_manifest(manifest).map(drop))?;
    image.documents.iter().try_for_each(|document| index.document(&document.digest).map(drop))?;
    for layer in &image.layers {
        index.has_layer(layer)?;
        index.fingerprint(layer)?;
        let contents = index.layer_contents(layer)?.unwrap_or_default();
        for overlap in index.overlaps(&contents, &Platform::default())? {
            index.image_at(overlap.image)?;
            index.set_id_at(overlap.image)?;
            index.key_at(overlap.image)?;
        }
        if let Some(first) = contents.first() {
            index.holders(&first.id)?;
        }
    }
    Ok(())
}

fn ask_absent(index: &Index) -> Result {
    let blob = BlobDigest::Sha256([0; 32]);
    index.layer_of_blob(&blob)?;
    index.document(&blob)?;
    index.image_of_manifest(&blob)?;
    index.holders(&ContentId::EMPTY)?;
    drop(index.resolve("absent:1"));
    Ok(())
}
