//! `import`: a network from PyTorch as a model file.

use crate::failure::Failure;
use crate::input;
use crate::output::Output;
use chainrule_table::export::import::{Import, import};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

/// The options of `import`.
#[derive(clap::Args, Debug)]
#[command(
    about = "Take a network from PyTorch: its state dict in a safetensors file",
    after_help = "In Python: safetensors.torch.save_file(network.state_dict(), \"net.safetensors\").\n\
        The file does not say what stands between linear layers and norms, so give the whole list; leave out\n\
        a softmax or sigmoid at the end, which belongs to the loss. Columns go in as they are.\n\n\
        Examples:\n  \
        chainrule import net.safetensors --layers linear,relu,linear -o model.safetensors\n  \
        chainrule import net.safetensors --layers linear,batch_norm,gelu,linear --loss cross_entropy \\\n      \
        --columns width,length --target species --labels setosa,versicolor,virginica"
)]
pub struct Options {
    /// The state dict; `-` is standard input
    file: PathBuf,
    /// All layers in order: linear, batch_norm, layer_norm, dropout, and activations (relu, leaky_relu:0.2, …)
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true)]
    layers: Vec<String>,
    /// What it was trained by: squared_error, binary_cross_entropy, cross_entropy, poisson, …
    #[arg(long, value_name = "LOSS", default_value = "squared_error")]
    loss: String,
    /// The names of the columns that go in, in order [default: x1,x2,…]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    columns: Vec<String>,
    /// The target's name; of several numbers each one's
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "y")]
    target: Vec<String>,
    /// The labels in the order of the outputs [default: 0,1,…]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    labels: Vec<String>,
    /// The model file to write [default: the file's name with -model]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

/// Reads, checks, writes.
///
/// # Errors
/// If the file is no state dict or does not fit the layers; then nothing is written.
pub fn run(options: &Options) -> Result<(), Failure> {
    let output = match &options.output {
        Some(path) => Output::explicit(path, options.force)?,
        None => {
            let stem = options.file.file_stem().unwrap_or("network".as_ref()).to_string_lossy();
            Output::default_name(Path::new(&format!("{stem}-model.safetensors")))
        }
    };
    let what = Import {
        layers: options.layers.clone(),
        loss: options.loss.parse()?,
        columns: options.columns.clone(),
        targets: options.target.clone(),
        labels: options.labels.clone(),
    };
    let unreadable = |error: io::Error| Failure::file(&options.file, &error);
    let bytes = if options.file == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map_err(unreadable)?;
        bytes
    } else {
        std::fs::read(&options.file).map_err(unreadable)?
    };
    let file =
        import(&bytes, &what).map_err(|error| Failure::Fault(format!("{}: {error}", input::name(&options.file))))?;
    let bytes = file.write_bytes()?;
    if let Some(written) = output.write(|out| out.write_all(&bytes).map_err(Failure::Write))? {
        let _ = writeln!(
            io::stderr(),
            "model     {}\nnext      chainrule predict {} TABLE",
            written.display(),
            written.display()
        );
    }
    Ok(())
}
