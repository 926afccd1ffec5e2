//! The labels of a stored image, as its configuration says them.
//!
//! The configuration is the document whose digest is the image's ID. Read with no demands: what is of another type than it
//! should be is no label, and a configuration that cannot be read has none. Nothing but the labels is held.

use std::collections::BTreeMap;
use std::fmt;

use layerprint_store::id::BlobDigest;
use layerprint_store::{ImageRecord, Index, Result};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Where labels stand: a member of an object that is a member of the configuration.
const LABELS: Wanted = Wanted::Texts(&["config", "Labels"]);

/// Returns the labels of a stored image (`config.Labels`). Of one that stands twice, the last counts.
///
/// # Errors
///
/// Fails if the configuration is damaged; one that is not there has no labels.
pub fn labels(index: &Index, record: &ImageRecord) -> Result<BTreeMap<String, String>> {
    let config = index.document(&BlobDigest::Sha256(*record.id.as_bytes()))?;
    Ok(config.map(|config| labels_of(&config)).unwrap_or_default())
}

fn labels_of(config: &[u8]) -> BTreeMap<String, String> {
    let mut config = serde_json::Deserializer::from_slice(config);
    let read = LABELS.deserialize(&mut config).and_then(|read| config.end().map(|()| read.texts));
    read.unwrap_or_default()
}

/// What is looked for in a value; anything else is passed over.
#[derive(Clone, Copy)]
enum Wanted {
    /// A text.
    Text,
    /// The texts of an object that stands below these keys.
    Texts(&'static [&'static str]),
}

/// What was found of it.
#[derive(Default)]
struct Found {
    text: Option<String>,
    texts: BTreeMap<String, String>,
}

impl<'de> DeserializeSeed<'de> for Wanted {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<Found, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Wanted {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Found, A::Error> {
        let mut found = Found::default();
        while let Some(key) = map.next_key::<String>()? {
            match self {
                Self::Texts([]) => match map.next_value_seed(Self::Text)?.text {
                    Some(text) => _ = found.texts.insert(key, text),
                    None => _ = found.texts.remove(&key),
                },
                Self::Texts([wanted, below @ ..]) if key == *wanted => {
                    found = map.next_value_seed(Self::Texts(below))?;
                }
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(found)
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Found, E> {
        Ok(Found { text: Some(text.to_owned()), ..Found::default() })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Found, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::default())
    }

    fn visit_unit<E>(self) -> std::result::Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Found, E> {
        Ok(Found::default())
    }
}

#[cfg(test)]
mod tests {
    use super::labels_of;

    fn told(config: &str) -> String {
        labels_of(config.as_bytes()).into_iter().map(|(key, value)| format!("{key}={value};")).collect()
    }

    #[test]
    fn labels_are_the_texts_of_the_configuration() {
        let cases = [
            (r#"{"os":"linux","config":{"Env":["A=b"],"Labels":{"b":"2","a":"","":"x"}}}"#, "=x;a=;b=2;"),
            (
                r#"{"config":{"Labels":{"a":1,"b":null,"c":{"d":"e"},"f":["g"],"h":true,"i":1.5,"j":-1,"k":"l"}}}"#,
                "k=l;",
            ),
            (r#"{"config":{"Labels":{"a":"1","a":"2","b":"3","b":4}}}"#, "a=2;"),
            (r#"{"config":{"Labels":null}}"#, ""),
            (r#"{"config":{"Labels":["a"]}}"#, ""),
            (r#"{"config":null,"rootfs":{"Labels":{"a":"b"}}}"#, ""),
            (r#"{"config":"Labels"}"#, ""),
            (r#"{"Labels":{"a":"b"}}"#, ""),
            (r#"{"config":{"Labels":{"a":"b"}}"#, ""),
            ("[]", ""),
            ("", ""),
            ("\u{0}", ""),
        ];
        for (config, expected) in cases {
            assert_eq!(told(config), expected, "{config}");
        }
        let deep =
            format!(r#"{{"config":{{"Labels":{{"a":{}{}}}}}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(told(&deep), "", "too deep to be read");
    }
}
