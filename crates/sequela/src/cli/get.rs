//! `sequela data get`: public data sets from their publishers.

use std::path::PathBuf;

use clap::Args;
use sequela_core::Class;
use sequela_data::datasets::{FetchOptions, Fetched, Progress, Source, fetch, target};
use serde_json::json;

use super::console::Console;
use super::data::megabytes;
use super::failure::Failure;
use super::sets::SETS;

/// Arguments of `sequela data get`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Files come from the publisher's address into a folder called like the set, in the publisher's own layout.
Each is NAME.part until all of it is there and has the SHA-256 that it should have; what breaks off goes
on from there at the next call. Files that are there already are checked and not fetched again.
`sequela data list` says which sets can be fetched and how they are checked. Where no digest is known
it says \"not verified\" and tells the digest of what came.

Examples:
  SEQUELA_DATA=~/data sequela data get mitbih
  sequela data get pbc2 --to data
  sequela data get uci_splice --from https://mirror.example.org/splice/")]
pub(crate) struct Get {
    /// The set, as `sequela data list` names it
    name: String,
    /// The folder of data sets [default: that of the environment variable `SEQUELA_DATA`]
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// Another address that has the same files; they are checked as ever
    #[arg(long, value_name = "URL")]
    from: Option<String>,
}

impl Get {
    /// Fetches a set.
    pub(crate) fn run(&self, console: Console) -> Result<(), Failure> {
        let mut source = Source::of(&self.name)?;
        if let Some(from) = &self.from {
            source.from = format!("{}/", from.trim_end_matches('/'));
        }
        let root = self.to.clone().or_else(target).ok_or_else(|| {
            let message = "there is no folder of data sets";
            Failure::new(Class::Usage, message, "set SEQUELA_DATA to one, or name one with --to")
        })?;
        let folder = root.join(&source.name);
        let licence = SETS.iter().find(|set| set.name == source.name).map_or("", |set| set.licence);
        console.say(&format!(
            "{} from {} into {} (licence {licence}; checked by: {})",
            source.name,
            source.from,
            folder.display(),
            source.check().words()
        ));
        let (mut came, mut unverified, mut files) = (0, Vec::new(), 0);
        let total = fetch(&source, &folder, &FetchOptions::default(), &mut |progress| {
            files = progress.files;
            came += usize::from(progress.fetched != Fetched::Here);
            if progress.fetched == Fetched::NotVerified {
                unverified.push(progress.file.name.clone());
            }
            tell(progress, console);
        })?;
        if console.is_json() {
            return Console::print_json(&json!({ "event": "finished", "set": source.name,
                "folder": folder, "files": files, "fetched": came, "bytes": total,
                "not_verified": unverified }));
        }
        let size = megabytes(total);
        console.say(&format!("{files} files, {came} of them new, {size}, in {}", folder.display()));
        if !unverified.is_empty() {
            console.say(&format!(
                "not verified: no digest is known of {}; compare with the publisher's page",
                unverified.join(", ")
            ));
        }
        Ok(())
    }
}

/// Says what happened to a file; of sets of thousands only every hundredth.
fn tell(progress: &Progress<'_>, console: Console) {
    let Progress { number, files, file, fetched, bytes, sha256 } = progress;
    let how = match fetched {
        Fetched::Here => "is here",
        Fetched::Verified => "verified",
        Fetched::NotVerified => "not verified",
    };
    if files - number > 0 && *files > 500 && !number.is_multiple_of(100) {
        return;
    }
    let name = &file.name;
    console.say(&format!("{number}/{files} {name}: {bytes} bytes, {how}, sha256 {sha256}"));
}
