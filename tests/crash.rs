//! A sample of the crash suite, which `just crash` runs whole: kills, failing operations, power failures and flipped bits on small
//! stores of the real program. Fails for what was lost or invented, never for how long something took.

#[path = "../benches/crash/suite.rs"]
mod suite;

use clap::Parser;

#[test]
fn a_sample_of_the_crash_suite_loses_nothing_and_invents_nothing() {
    let status = suite::run(&suite::Settings::parse_from(["crash"]));
    assert_eq!(status, std::process::ExitCode::SUCCESS, "the lines above say what failed, and repeat it");
}
