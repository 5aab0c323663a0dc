//! `klatch plan`: what the operator would do with a manifest, by the operator's own code, without a cluster.

mod difference;
mod kubectl;
mod objects;
mod table;

use std::{io::Read, path::PathBuf, process::ExitCode};

use anyhow::Context;
use klatch_crd::{Refusal, check::MANIFEST_BYTES, read_manifest};
use klatch_desired::{Observed, desired};

use crate::{
    failure::Failure,
    output::{self, Form},
};

/// How a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people: each phase, sizes, warnings.
    Table,
    /// Every object, as it would be applied.
    Yaml,
}

/// `klatch plan`
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing is changed, and without --diff no cluster is asked: it works offline. With --diff the cluster of your kubeconfig is \
asked by kubectl, which must be installed: exit code 0 says that nothing would change, 1 that something would, 4 that the cluster does not \
answer, 5 that it cannot be told: no kubectl, no such file, notes in the cluster that nobody can read. A manifest that an apiserver would refuse is refused \
with the same sentences, and exit code 3. What a cluster alone can tell - missing Secrets, a missing storage class - shows in the \
ChatCluster's status after the apply."
)]
pub(crate) struct Arguments {
    /// Manifest of a ChatCluster (YAML); - is standard input.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Namespace it will be applied in, when the manifest names none; some names hold it.
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// How it is shown.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
    /// What would change in the cluster that kubectl speaks to, field by field.
    #[arg(long, conflicts_with = "output")]
    diff: bool,
}

/// Plans and prints.
///
/// # Errors
/// A manifest that cannot be read, or that an apiserver would refuse.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let done = plan(arguments);
    if arguments.diff { done.map_err(difference::undecided) } else { done }
}

fn plan(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let text = read(arguments)?;
    let mut cluster = read_manifest(&text).map_err(|refusals| refused(arguments, &refusals))?;
    cluster.metadata.namespace.get_or_insert_with(|| arguments.namespace.clone());
    if arguments.diff {
        return difference::show(cluster);
    }
    let desired = desired(&cluster, &Observed::offline());
    let shown = match arguments.output {
        Output::Table => table::render(&cluster, &desired, Form::choose_text(false)),
        Output::Yaml => objects::render(&desired)?,
    };
    output::line(shown.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn read(arguments: &Arguments) -> anyhow::Result<String> {
    let mut text = String::new();
    // One byte more than is allowed: a manifest that is too large is told from one that just fits.
    let most = MANIFEST_BYTES as u64 + 1;
    if arguments.file.as_os_str() == "-" {
        std::io::stdin().take(most).read_to_string(&mut text).context("cannot read standard input")?;
    } else {
        let shown = arguments.file.display();
        let file = std::fs::File::open(&arguments.file).with_context(|| format!("cannot open {shown}"))?;
        file.take(most).read_to_string(&mut text).with_context(|| format!("cannot read {shown}"))?;
    }
    Ok(text)
}

fn refused(arguments: &Arguments, refusals: &[Refusal]) -> Failure {
    let lines: Vec<_> = refusals.iter().map(|refusal| format!("  {refusal}")).collect();
    Failure::refused(format!("{} would be refused:\n{}", arguments.file.display(), lines.join("\n")))
}

#[cfg(test)]
mod tests;
