//! The labels of a stored image, as its configuration says them.
//!
//! The configuration is the document whose digest is the image's ID. Read with no demands: what is of another type than it
//! should be is no label, and a configuration that cannot be read has none. Nothing but the labels is held.

use std::collections::BTreeMap;
use std::fmt;

use layerprint_store::id::BlobDigest;
use layerprint_store::{ImageRecord, Index, Result};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

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
    serde_json::from_slice(config).map(|Image(Config(Labels(labels)))| labels).unwrap_or_default()
}

/// A configuration: an object with `config`.
#[derive(Default)]
struct Image(Config);

/// An object with `Labels`.
#[derive(Default)]
struct Config(Labels);

/// An object of texts.
#[derive(Default)]
struct Labels(BTreeMap<String, String>);

/// A text, or something else.
#[derive(Default)]
struct Text(Option<String>);

/// What is made of an object or of a text; of anything else nothing is.
trait Lenient: Default {
    /// Takes the value of a key.
    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        _key: String,
        map: &mut A,
    ) -> std::result::Result<(), A::Error> {
        map.next_value::<IgnoredAny>().map(drop)
    }

    /// Takes a text.
    fn text(&mut self, _text: &str) {}
}

impl Lenient for Image {
    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        key: String,
        map: &mut A,
    ) -> std::result::Result<(), A::Error> {
        match &*key {
            "config" => map.next_value().map(|config| self.0 = config),
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

impl Lenient for Config {
    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        key: String,
        map: &mut A,
    ) -> std::result::Result<(), A::Error> {
        match &*key {
            "Labels" => map.next_value().map(|labels| self.0 = labels),
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

impl Lenient for Labels {
    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        key: String,
        map: &mut A,
    ) -> std::result::Result<(), A::Error> {
        let Text(text) = map.next_value()?;
        match text {
            Some(text) => _ = self.0.insert(key, text),
            None => _ = self.0.remove(&key),
        }
        Ok(())
    }
}

impl Lenient for Text {
    fn text(&mut self, text: &str) {
        self.0 = Some(text.to_owned());
    }
}

struct AnyVisitor<T>(T);

impl<'de, T: Lenient> Visitor<'de> for AnyVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> std::result::Result<T, A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            self.0.field(key, &mut map)?;
        }
        Ok(self.0)
    }

    fn visit_str<E>(mut self, text: &str) -> std::result::Result<T, E> {
        self.0.text(text);
        Ok(self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<T, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self.0)
    }

    fn visit_unit<E>(self) -> std::result::Result<T, E> {
        Ok(self.0)
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<T, E> {
        Ok(self.0)
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<T, E> {
        Ok(self.0)
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<T, E> {
        Ok(self.0)
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<T, E> {
        Ok(self.0)
    }
}

macro_rules! lenient {
    ($($name:ident)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
                from.deserialize_any(AnyVisitor(Self::default()))
            }
        }
    )*};
}

lenient!(Image Config Labels Text);

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
