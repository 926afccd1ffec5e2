//! What the rules of remarks are, for those who have not read the documentation.

use layerprint_query::{Level, Rule};

/// A rule in words.
pub struct Words {
    /// A title.
    pub short: &'static str,
    /// What is wrong.
    pub full: &'static str,
    /// What to do about it.
    pub help: &'static str,
}

/// Returns how bad a remark is if nothing else is said.
pub fn level(rule: Rule) -> Level {
    match rule {
        Rule::BaseUnknown | Rule::BaseUncertain | Rule::BaseOutdated => Level::Warning,
        Rule::BaseNotAllowed
        | Rule::BaseForbidden
        | Rule::BaseTooOld
        | Rule::ConfidenceTooLow
        | Rule::FileForbidden => Level::Error,
        Rule::Exempt => Level::Note,
    }
}

/// Returns a rule in words.
pub fn words(rule: Rule) -> Words {
    let (short, full, help) = match rule {
        Rule::BaseUnknown => (
            "The base of the image is not known",
            "No stored image is the base of this image: neither its layers nor its files are those of one.",
            "If the image has a base, ingest that base. If it has none, exempt the image in the policy.",
        ),
        Rule::BaseUncertain => (
            "The base of the image is uncertain",
            "The image is like a stored image, but its base is a relative of that one which cannot be told or is not stored.",
            "Ingest the other releases of the family that is named.",
        ),
        Rule::BaseOutdated => (
            "Newer images of the base's family are stored",
            "The image is built on a base of whose family and flavour newer images are stored.",
            "Build the image again on the newest one.",
        ),
        Rule::BaseNotAllowed => (
            "The base of the image is not allowed",
            "Neither the base of the image nor, unless only the base itself counts, anything that it is built on is among the \
             bases that the policy allows.",
            "Build the image on a base that is allowed, or allow this one.",
        ),
        Rule::BaseForbidden => (
            "The base of the image is forbidden",
            "The base of the image, or something that it is built on, is among the bases that the policy forbids.",
            "Build the image on another base.",
        ),
        Rule::BaseTooOld => (
            "The base of the image is too old",
            "The base of the image was made longer ago than the policy allows, or does not say when it was made.",
            "Build the image again on a newer base.",
        ),
        Rule::ConfidenceTooLow => (
            "The base of the image is not sure enough",
            "The base was found by content, with less confidence than the policy asks for.",
            "Ask `layerprint explain` what became of the base, and ingest its relatives so that they can be told apart.",
        ),
        Rule::FileForbidden => (
            "The image holds a forbidden file",
            "A layer of the image holds a file with a content that the policy forbids. If a higher layer hides it, no container \
             sees it, but who has the image has the file.",
            "Ask `layerprint explain` which base brought the file, and build the image without it.",
        ),
        Rule::Exempt => (
            "The image is exempt from the policy",
            "An exemption of the policy holds for this image, so that nothing is asked of it.",
            "Look at the reason, and whether the exemption ends.",
        ),
    };
    Words { short, full, help }
}
