//! What must hold for every policy, however it is spelled: text that is none is an error with its place, never a panic.

use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Policy, PolicyError};

/// Pieces of policies, good and bad, that make one more often than letters would.
fn piece() -> impl Strategy<Value = String> {
    let keys = [
        "[base]",
        "[[file]]",
        "[[exempt]]",
        "[base",
        "allow",
        "allow_families",
        "direct",
        "forbid",
        "max_age_days",
        "max_newer",
        "min_confidence",
        "unknown",
        "uncertain",
        "undated",
        "outdated",
        "content",
        "reason",
        "images",
        "until",
        "base.allow",
        "other",
    ];
    let values = [
        "[]",
        "true",
        "0",
        "-1",
        "0.5",
        "1e400",
        "nan",
        "99999999999999999999",
        "2026-12-31",
        "2026-12-31T00:00:00Z",
        "9999-12-31",
        "\"error\"",
        "\"ignore\"",
        "\"debian:12*\"",
        "\"[\"",
        "\"{a,b}\"",
        "\"\"",
        "\" \"",
        "\"\\u0000\"",
        "\"sha256:0123456789ab\"",
        "[\"a\", \"é\"]",
        "[[]]",
        "{ a = 1 }",
        "\"\"\"\n\"\"\"",
        "'\\'",
    ];
    prop_oneof![
        4 => prop::sample::select(keys.to_vec()).prop_map(str::to_owned),
        4 => prop::sample::select(values.to_vec()).prop_map(str::to_owned),
        6 => prop::sample::select(vec![" = ", "\n", "\r\n", ", ", "# é\n", "\t"]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

/// Lines that are mostly whole, so that what is behind the first one is looked at, too.
fn text() -> impl Strategy<Value = String> {
    let line = (piece(), piece()).prop_map(|(key, value)| format!("{key} = {value}\n"));
    let head =
        prop::sample::select(vec!["[base]\n", "[[file]]\n", "[[exempt]]\n", ""]).prop_map(str::to_owned);
    prop_oneof![vec(piece(), 0..20), vec(prop_oneof![line, head], 0..8)].prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_that_is_no_policy_is_refused_with_a_place_in_it(text in text()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        fs::write(&path, &text).unwrap();
        let Err(error) = Policy::read(&path) else { return Ok(()) };
        prop_assert!(error.hint().is_some(), "{error}");
        if let PolicyError::Malformed { line, column, message, .. } = error {
            let there = text.split('\n').nth(line - 1);
            prop_assert!(there.is_some_and(|there| column <= there.chars().count() + 1), "{line}:{column} of {text:?}");
            prop_assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
        }
    }
}
