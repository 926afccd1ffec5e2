//! The `layerprint` command.

mod args;
mod batch;
mod cells;
mod check;
mod children;
mod counted;
mod day;
mod demo;
mod disk;
mod duplicates;
mod error;
mod escape;
mod explain;
mod export;
mod find;
mod forget;
mod import;
mod ingest;
mod left_out;
mod list;
mod output;
mod pattern;
mod policy;
mod private;
mod progress;
mod reindex;
mod repair;
mod replace;
mod report;
mod requirement;
mod rows;
mod savings;
mod show;
mod siblings;
mod signals;
mod stats;
mod store;
mod subjects;
mod who_has;
mod workers;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, Command};
use error::Status;
use signals::Signals;

fn main() -> ExitCode {
    layerprint_store::hide_panics_of_database();
    let args = Args::try_parse().unwrap_or_else(|error| error::exit_unparsed(&error));
    match run(&args) {
        Ok(status) => status.into(),
        Err(error) => error::report(&error),
    }
}

fn run(args: &Args) -> anyhow::Result<Status> {
    match &args.command {
        Command::Ingest(command) => ingest::run(&args.global, command, &Signals::catch()?),
        Command::Find(command) => find::run(&args.global, command),
        Command::Explain(command) => explain::run(&args.global, command),
        Command::Children(command) => children::run(&args.global, command),
        Command::Report(command) => report::run(&args.global, command),
        Command::Siblings(command) => siblings::run(&args.global, command),
        Command::WhoHas(command) => who_has::run(&args.global, command),
        Command::Duplicates(command) => duplicates::run(&args.global, command),
        Command::Savings(command) => savings::run(&args.global, command),
        Command::Demo(command) => demo::run(&args.global, command),
        Command::Show(command) => show::run(&args.global, command),
        Command::List(command) => list::run(&args.global, command),
        Command::Stats => stats::run(&args.global),
        Command::Reindex => reindex::run(&args.global),
        Command::Check(command) => check::run(&args.global, command),
        Command::Repair => repair::run(&args.global),
        Command::Forget(command) => forget::run(&args.global, command),
        Command::Export(command) => export::run(&args.global, command),
        Command::Import(command) => import::run(&args.global, command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "layerprint", &mut script);
            std::io::stdout().write_all(&script)?;
            Ok(Status::Done)
        }
    }
}
