//! A run on its way: a bar on a terminal, else a line now and then.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::print::{Output, by_name, moment, thousands};
use crate::{
    control::RunStatus,
    model::{RunState, Status},
};

/// Shows how a run goes.
pub(super) enum Progress<'a> {
    /// On a terminal.
    Bar(ProgressBar),
    /// Elsewhere: one line for each tenth, and for each change of state.
    Lines {
        /// Where they go.
        output: &'a mut Output,
        /// What the last line said.
        last: Option<(RunState, u64, Option<String>)>,
    },
}

impl<'a> Progress<'a> {
    /// For a run as it stands.
    pub(super) fn new(run: &RunStatus, output: &'a mut Output) -> Self {
        if !output.is_watched() {
            return Self::Lines { output, last: None };
        }
        let bar = ProgressBar::with_draw_target(
            Some(run.totals.to_send),
            ProgressDrawTarget::stderr_with_hz(5),
        );
        bar.set_style(style());
        // The rate is that of this sitting, not of what was sent before.
        bar.set_position(done(run));
        bar.reset_eta();
        Self::Bar(bar)
    }

    /// The counts have moved.
    pub(super) fn show(&mut self, run: &RunStatus) {
        let (done, of) = (done(run), run.totals.to_send);
        match self {
            Self::Bar(bar) => {
                bar.set_length(of);
                bar.set_position(done);
                bar.set_message(remarks(run));
            }
            Self::Lines { output, last } => {
                let tenth = (done * 10).checked_div(of).unwrap_or(0);
                let now = (run.state, tenth, run.goes_on_at.map(moment));
                if last.as_ref() != Some(&now) {
                    *last = Some(now);
                    let (done, of) = (thousands(done), thousands(of));
                    let line = format!("run {} {}: {done} of {of}", run.id, run.state);
                    let line = match remarks(run) {
                        remarks if remarks.is_empty() => line,
                        remarks => format!("{line}, {remarks}"),
                    };
                    // Progress that nobody reads is no reason to stop sending.
                    let _ = output.note(line);
                }
            }
        }
    }

    /// Takes the bar away.
    pub(super) fn end(self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    let template = "{wide_bar} {human_pos}/{human_len}  {per_sec}  {eta} left  {msg}";
    ProgressStyle::with_template(template).expect("the template is right")
}

/// How many of the deliveries to send are not waiting any more.
fn done(run: &RunStatus) -> u64 {
    let open: u64 = run
        .counts
        .iter()
        .filter(|(status, _)| status.is_open())
        .map(|(_, n)| n)
        .sum();
    run.totals.to_send.saturating_sub(open)
}

/// What did not go as it should, and what it waits for.
fn remarks(run: &RunStatus) -> String {
    let unusual = [Status::Deferred, Status::Failed, Status::InDoubt];
    let mut remarks = by_name(
        run.counts
            .iter()
            .filter(|(status, n)| unusual.contains(status) && **n > 0)
            .map(|(status, n)| (*status, *n)),
    );
    if let Some(at) = run.goes_on_at {
        if !remarks.is_empty() {
            remarks += ", ";
        }
        remarks += "goes on at ";
        remarks += &moment(at);
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{print::Captured, samples::run};

    #[test]
    fn without_a_terminal_there_is_a_line_for_each_tenth() {
        let mut captured = Captured::plain();
        let mut state = run(RunState::Sending, &[(Status::Queued, 100)]);
        state.totals.to_send = 100;
        let mut progress = Progress::new(&state, &mut captured.output);
        for sent in 0..=100 {
            state.counts.insert(Status::Queued, 100 - sent);
            progress.show(&state);
        }
        state.state = RunState::Finished;
        state.counts = [(Status::Sent, 98), (Status::Failed, 2)].into();
        progress.show(&state);
        progress.end();
        let lines = captured.err();
        assert_eq!(lines.lines().count(), 12, "{lines}");
        assert!(lines.starts_with("run 3 sending: 0 of 100\nrun 3 sending: 10 of 100\n"));
        assert!(lines.ends_with("run 3 finished: 100 of 100, failed 2\n"));
    }

    #[test]
    fn a_bar_shows_what_was_done_and_what_went_wrong() {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(style());
        let mut state = run(
            RunState::Sending,
            &[(Status::Queued, 500), (Status::Failed, 2)],
        );
        state.totals.to_send = 1_500;
        let mut progress = Progress::Bar(bar);
        progress.show(&state);
        let Progress::Bar(bar) = &progress else {
            unreachable!()
        };
        assert_eq!((bar.position(), bar.length()), (1_000, Some(1_500)));
        assert_eq!(bar.message(), "failed 2");
        progress.end();
    }

    #[test]
    fn a_run_without_recipients_divides_nothing() {
        let mut captured = Captured::plain();
        let state = run(RunState::Finished, &[]);
        Progress::new(&state, &mut captured.output).show(&state);
        assert_eq!(captured.err(), "run 3 finished: 0 of 0\n");
    }
}
