//! The one way to the terminal, so that a test can stand in its place.

use std::{
    fmt::Display,
    io::{self, BufRead, BufWriter, IsTerminal, Write},
};

use serde::Serialize;

use super::{Table, clean, mask};

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How a command is to print.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::cli) struct Style {
    /// For machines.
    pub(in crate::cli) json: bool,
    /// With whole addresses.
    pub(in crate::cli) unmasked: bool,
    /// When to use colours.
    pub(in crate::cli) color: ColorChoice,
}

/// What is known of where an output goes.
#[derive(Clone, Copy, Debug, Default)]
struct Screen {
    /// It is a terminal.
    terminal: bool,
    /// It is coloured.
    color: bool,
}

/// Standard output, error and input, and what is known about them.
pub(in crate::cli) struct Output {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    input: Box<dyn BufRead + Send>,
    style: Style,
    out_screen: Screen,
    err_screen: Screen,
    /// Somebody is there to answer.
    interactive: bool,
}

impl Output {
    /// The real ones.
    pub(in crate::cli) fn standard(style: Style) -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let (out_is_terminal, err_is_terminal) = (out.is_terminal(), err.is_terminal());
        // https://no-color.org: set and not empty.
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let screen = |terminal| Screen {
            terminal,
            color: match style.color {
                ColorChoice::Auto => terminal && wanted,
                ColorChoice::Always => true,
                ColorChoice::Never => false,
            },
        };
        Self {
            out: Box::new(BufWriter::new(out)),
            err: Box::new(err),
            input: Box::new(io::BufReader::new(io::stdin())),
            style,
            out_screen: screen(out_is_terminal),
            err_screen: screen(err_is_terminal),
            interactive: err_is_terminal && io::stdin().is_terminal(),
        }
    }

    /// Whether machines read it.
    pub(in crate::cli) fn is_json(&self) -> bool {
        self.style.json
    }

    /// Whether a person sees what is written to standard error as it comes.
    pub(in crate::cli) fn is_watched(&self) -> bool {
        self.err_screen.terminal
    }

    /// Whether standard output is a terminal.
    pub(in crate::cli) fn is_screen(&self) -> bool {
        self.out_screen.terminal
    }

    /// Whether standard output is coloured.
    pub(in crate::cli) fn out_color(&self) -> bool {
        self.out_screen.color
    }

    /// Whether standard error is coloured.
    pub(in crate::cli) fn err_color(&self) -> bool {
        self.err_screen.color
    }

    /// Whether JSON shows addresses as they are.
    pub(in crate::cli) fn is_unmasked(&self) -> bool {
        self.style.unmasked
    }

    /// A line on standard output.
    pub(in crate::cli) fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.out, "{}", clean(&text.to_string()))
    }

    /// A line on standard output, bold on a terminal.
    pub(in crate::cli) fn title(&mut self, text: impl Display) -> io::Result<()> {
        let text = clean(&text.to_string());
        if self.out_screen.color {
            writeln!(self.out, "\u{1b}[1m{text}\u{1b}[0m")
        } else {
            writeln!(self.out, "{text}")
        }
    }

    /// Lines on standard output that were made for it, colours and all.
    pub(in crate::cli) fn shown(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// A table on standard output.
    pub(in crate::cli) fn table(&mut self, table: Table) -> io::Result<()> {
        // The width is asked for each time: windows change.
        let width = || comfy_table::Table::new().width().unwrap_or(80).max(40);
        let text = table.render(self.is_screen().then(width));
        writeln!(self.out, "{text}")
    }

    /// Bytes on standard output, as they are.
    pub(in crate::cli) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// One JSON value on a line of standard output.
    pub(in crate::cli) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        writeln!(self.out)
    }

    /// One JSON value on a line of standard output, the addresses in all of its strings masked unless asked for.
    pub(in crate::cli) fn masked_json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut value = serde_json::to_value(value)?;
        if !self.style.unmasked {
            mask::json(&mut value);
        }
        self.json(&value)
    }

    /// A line on standard error.
    pub(in crate::cli) fn note(&mut self, text: impl Display) -> io::Result<()> {
        self.out.flush()?;
        writeln!(self.err, "{}", clean(&text.to_string()))
    }

    /// Lines on standard error that were made for it, colours and all.
    pub(in crate::cli) fn rendered(&mut self, text: &str) -> io::Result<()> {
        self.out.flush()?;
        writeln!(self.err, "{text}")
    }

    /// `error: …` on standard error.
    pub(in crate::cli) fn error(&mut self, text: &str) -> io::Result<()> {
        let label = if self.err_screen.color {
            "\u{1b}[1;31merror:\u{1b}[0m"
        } else {
            "error:"
        };
        self.rendered(&format!("{label} {}", clean(text)))
    }

    /// Asks on standard error; `None`: nobody is there to answer.
    pub(in crate::cli) fn ask(&mut self, question: &str) -> io::Result<Option<String>> {
        if !self.interactive {
            return Ok(None);
        }
        self.out.flush()?;
        write!(self.err, "{} ", clean(question))?;
        self.err.flush()?;
        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        Ok(Some(answer.trim().to_owned()))
    }

    /// Clears the screen, where there is one, for what is printed next.
    pub(in crate::cli) fn clear(&mut self) -> io::Result<()> {
        if self.is_screen() {
            self.out.write_all(b"\x1b[H\x1b[2J\x1b[3J")?;
        }
        Ok(())
    }

    /// Hands over what was printed.
    pub(in crate::cli) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// An [`Output`] that keeps what is printed.
#[cfg(test)]
pub(in crate::cli) struct Captured {
    /// What a command prints to.
    pub(in crate::cli) output: Output,
    out: Kept,
    err: Kept,
}

#[cfg(test)]
#[derive(Clone, Default)]
struct Kept(std::sync::Arc<parking_lot::Mutex<Vec<u8>>>);

#[cfg(test)]
impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
impl Kept {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock())).unwrap()
    }
}

#[cfg(test)]
impl Captured {
    /// No terminal, for people.
    pub(in crate::cli) fn plain() -> Self {
        Self::new(Style::default(), None)
    }

    /// For machines.
    pub(in crate::cli) fn json() -> Self {
        let style = Style {
            json: true,
            ..Style::default()
        };
        Self::new(style, None)
    }

    /// For machines that may see addresses.
    pub(in crate::cli) fn unmasked() -> Self {
        let style = Style {
            json: true,
            unmasked: true,
            ..Style::default()
        };
        Self::new(style, None)
    }

    /// With somebody who answers.
    pub(in crate::cli) fn answering(answer: &'static str) -> Self {
        Self::new(Style::default(), Some(answer))
    }

    fn new(style: Style, answer: Option<&'static str>) -> Self {
        let (out, err) = (Kept::default(), Kept::default());
        let output = Output {
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            input: Box::new(answer.unwrap_or_default().as_bytes()),
            style,
            out_screen: Screen::default(),
            err_screen: Screen::default(),
            interactive: answer.is_some(),
        };
        Self { output, out, err }
    }

    /// What was printed to standard output since the last call.
    pub(in crate::cli) fn out(&self) -> String {
        self.out.take()
    }

    /// What was printed to standard error since the last call.
    pub(in crate::cli) fn err(&self) -> String {
        self.err.take()
    }
}
