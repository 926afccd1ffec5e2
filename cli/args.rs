//! What can be typed.

use std::path::PathBuf;

use clap::builder::{Styles, styling::AnsiColor};
use clap::{Args as ClapArgs, Parser, Subcommand};
use layerprint_store::Platform;

const SOURCES: &str = "\
Sources:
  PATH                          a file or folder, told by its content; a folder is searched for images
  -                             an archive from standard input
  docker-archive:FILE[:REF]     what `docker save` writes
  oci-archive:FILE[:REF]        an OCI layout in a tar
  oci:DIR[:REF]                 an OCI layout
  dir:PATH                      what `skopeo copy ... dir:PATH` writes
  rootfs:PATH                   a root file system: a folder, or the tar of `docker export`";

const STATUS: &str = "\
Exit status:
  0  done, or found
  1  nothing found
  2  something failed; what did not fail was done";

/// Find what a container image is built on, by the contents of its files
#[derive(Debug, Parser)]
#[command(name = "layerprint", version, max_term_width = 100, styles = STYLES)]
#[command(after_help = "Start with: layerprint ingest FOLDER-OF-BASES, then: layerprint find IMAGE.tar")]
#[command(after_long_help = concat!(
    "Start with `layerprint ingest FOLDER-OF-BASES`, then ask `layerprint find IMAGE.tar`.\n",
    "`layerprint demo` shows both on images that it makes itself.\n\n",
    "Exit status: 0 done or found, 1 nothing found, 2 something failed."
))]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, ClapArgs)]
pub struct Global {
    /// Where fingerprints are kept [default: layerprint in the XDG data folder]
    #[arg(long, global = true, value_name = "DIR", env = "LAYERPRINT_STORE")]
    pub store: Option<PathBuf>,
    /// Print JSON, one object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// Show no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read images into the store
    ///
    /// Layers that the store has are not read again, nor are archives whose size and time are unchanged. An image that
    /// cannot be read is reported and does not stop the others.
    #[command(after_long_help = format!(
        "{SOURCES}\n\nExamples:\n  \
         layerprint ingest bases/\n  \
         docker save debian:12 | layerprint ingest -\n  \
         layerprint ingest oci:layout:alpine:3.20\n\n{STATUS}"
    ))]
    Ingest(Ingest),
    /// Say what images are built on
    ///
    /// Reads what the store lacks without adding it. A stored image may be named by its name or ID.
    #[command(after_long_help = format!(
        "{SOURCES}\n\nExamples:\n  \
         layerprint find app.tar\n  \
         docker save my/app:1 | layerprint find -\n  \
         docker export my-container | layerprint find rootfs:-\n  \
         layerprint find --json images/ | jq -r '[.source, .verdict, .base.names[0]] | @tsv'\n\n{STATUS}"
    ))]
    Find(Find),
    /// Show how it works, on images made from files of this machine
    ///
    /// Needs no network, no Docker and no rights: copies files that everybody may read, makes bases and applications
    /// of them, changes the applications as people do (squashed, exported, rebuilt), ingests the bases and finds them
    /// again. Takes some 300 MB in the folder for temporary files (TMPDIR) and removes them at the end. Uses a store
    /// of its own, whatever --store says.
    #[command(after_long_help = "\
Exit status:
  0  every answer is right
  1  an answer is wrong
  2  something failed")]
    Demo(Demo),
    /// Show what is known of a stored image or layer
    Show(Show),
    /// List stored images
    List(List),
    /// Count what the store holds
    Stats,
    /// Build the index again from the stored fingerprints
    ///
    /// Nobody has to: the index is kept up with every commit, and built again where it is found missing or damaged. The
    /// result is the same, byte for byte, whenever and by however many threads it is built.
    Reindex,
    /// Remove images from the store
    Forget(Forget),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Where images are read from.
#[derive(Debug, ClapArgs)]
pub struct Sources {
    /// Images: archives, layouts, folders, or - (see --help; can be repeated)
    #[arg(value_name = "SOURCE", required_unless_present = "from_list")]
    pub sources: Vec<String>,
    /// Read further sources from a file, one a line; - is standard input (can be repeated)
    #[arg(long, value_name = "FILE")]
    pub from_list: Vec<PathBuf>,
    /// Take only images for this platform: os/architecture[/variant]
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    pub platform: Option<Platform>,
    /// Read so many layers at a time [default: one for each core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Name images that have no name of their own
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct Ingest {
    #[command(flatten)]
    pub sources: Sources,
    /// Read archives again whose size and time are unchanged
    #[arg(long)]
    pub rescan: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Find {
    #[command(flatten)]
    pub sources: Sources,
    /// Also add the images to the store
    #[arg(long)]
    pub save: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Demo {
    /// Keep the images and the store in this folder, which must be new or empty
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct Show {
    /// A name, an image ID, a diff ID or a digest; four digits of an ID suffice
    #[arg(value_name = "IMAGE|LAYER")]
    pub subject: String,
    /// List the files: of an image as a container sees them, of a layer with its whiteouts
    #[arg(long)]
    pub files: bool,
}

#[derive(Debug, ClapArgs)]
pub struct List {
    /// Only images one of whose names contains this
    #[arg(value_name = "TEXT")]
    pub filter: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct Forget {
    /// A name, or an image ID (can be repeated)
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

fn platform(text: &str) -> Result<Platform, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let (os, architecture, variant) = match parts[..] {
        [os, architecture] => (os, architecture, ""),
        [os, architecture, variant] if !variant.is_empty() => (os, architecture, variant),
        _ => ("", "", ""),
    };
    if os.is_empty() || architecture.is_empty() {
        return Err("a platform is os/architecture[/variant], such as linux/arm64".into());
    }
    Ok(Platform {
        os: os.to_owned(),
        architecture: architecture.to_owned(),
        variant: variant.to_owned(),
        os_version: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}
