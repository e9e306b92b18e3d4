//! `lanterna package`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use profiles::package::PackageError;
use profiles::package::store::{Installed, Store};

use super::packages_folder;
use crate::config::Settings;

/// How many refused files are shown.
const REFUSED_SHOWN: usize = 10;

/// What `lanterna package` takes.
#[derive(Debug, Args)]
pub struct PackageArguments {
    #[command(subcommand)]
    command: PackageCommand,
}

#[derive(Debug, Subcommand)]
enum PackageCommand {
    /// Installs packages, and what they need where it is at hand
    Install {
        /// Packages: `.tgz` files or unpacked folders
        #[arg(required = true, value_name = "FILE|FOLDER")]
        packages: Vec<PathBuf>,
        /// Folders of packages, `.tgz` or unpacked, in which dependencies are looked for
        #[arg(long, value_name = "FOLDER")]
        from: Vec<PathBuf>,
        /// Replace a package of the same name and version that has other content
        #[arg(long)]
        replace: bool,
    },
    /// Lists what is installed, and the SHA-256 of what it was installed from
    List,
    /// Removes a package
    Remove {
        /// `name#version`
        #[arg(value_name = "NAME#VERSION")]
        package: String,
        /// Although others need it
        #[arg(long)]
        force: bool,
    },
}

/// Installs, lists or removes packages of definitions. A server that runs sees
/// a change when it is started again.
///
/// # Errors
/// When a package cannot be read, or the folder not be written.
pub fn package(
    settings: &Settings,
    arguments: &PackageArguments,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let store = Store::new(packages_folder(settings));
    match &arguments.command {
        PackageCommand::Install { packages, from, replace } => {
            let store = if *replace { store.replacing() } else { store };
            let mut is_whole = true;
            for package in packages {
                let style = ProgressStyle::with_template("{spinner} {msg}: {pos} resources {elapsed}")?;
                let bar = ProgressBar::new_spinner().with_style(style);
                bar.set_message(package.display().to_string());
                let installed = store
                    .install(package, from, |seen| bar.inc(seen as u64))
                    .map_err(|error| told(package, &error))?;
                bar.finish_and_clear();
                is_whole &= installed.missing.is_empty();
                tell(&installed);
            }
            Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
        }
        PackageCommand::List => {
            for manifest in store.list()? {
                let sha256 = store.sha256(&manifest).unwrap_or_default();
                println!("{}#{}  {sha256}", manifest.name, manifest.version);
            }
            Ok(ExitCode::SUCCESS)
        }
        PackageCommand::Remove { package, force } => {
            let (name, version) = package
                .split_once('#')
                .ok_or_else(|| format!("`{package}` is not of the form name#version"))?;
            store.remove(name, version, *force)?;
            println!("{package} is removed");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Says what is wrong with a package, and what can be done.
fn told(package: &Path, error: &PackageError) -> String {
    let hint = match error {
        PackageError::Changed(_) => "; --replace puts this one in its place",
        _ => "",
    };
    format!("{}: {error}{hint}", package.display())
}

fn tell(installed: &Installed) {
    for manifest in &installed.packages {
        println!("{}#{} is installed", manifest.name, manifest.version);
    }
    println!("{} resources stored", installed.resources);
    if !installed.refused.is_empty() {
        println!("{} files are no R4 resources and were left out:", installed.refused.len());
        for (file, why) in installed.refused.iter().take(REFUSED_SHOWN) {
            println!("  {file}: {why}");
        }
    }
    for missing in &installed.missing {
        println!("missing: {missing}; give the folder that has it with --from");
    }
}
