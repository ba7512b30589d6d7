//! `campanile check`: what is wrong with the files.

use std::{fs, path::PathBuf};

use super::{
    exit::Exit,
    failure::Failure,
    print::{Output, plural},
};
use crate::{
    engine::Engine,
    model::{Diagnostics, Severity},
    workspace::Location,
};

/// Checks the workspace.
pub(super) async fn run(workspace: &Location, output: &mut Output) -> Result<Exit, Failure> {
    let snapshot = Engine::check(workspace).await?;
    let scripts = scripts(workspace.folder.join("scripts"));
    report(
        &snapshot.diagnostics,
        snapshot.campaigns.len() as u64,
        scripts,
        output,
    )
}

fn report(
    found: &Diagnostics,
    campaigns: u64,
    scripts: u64,
    output: &mut Output,
) -> Result<Exit, Failure> {
    for diagnostic in found {
        if output.is_json() {
            output.json(&diagnostic.to_json())?;
        } else {
            let text = diagnostic.render(output.err_color());
            output.rendered(&format!("{text}\n"))?;
        }
    }
    let of = |severity| found.iter().filter(|one| one.severity == severity).count() as u64;
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    let mut verdict = Vec::new();
    if errors > 0 {
        verdict.push(plural(errors, "error"));
    }
    if warnings > 0 {
        verdict.push(plural(warnings, "warning"));
    }
    if verdict.is_empty() {
        verdict.push("no errors".to_owned());
    }
    if !output.is_json() {
        output.line(format!(
            "{}, {}: {}",
            plural(campaigns, "campaign"),
            plural(scripts, "script"),
            verdict.join(", ")
        ))?;
    }
    Ok(if errors > 0 { Exit::Broken } else { Exit::Done })
}

/// How many scripts a folder has. One that can't be read has been reported as such by the check.
fn scripts(folder: PathBuf) -> u64 {
    let mut folders = vec![folder];
    let mut n = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !hidden => folders.push(path),
                Ok(_) if !hidden && path.extension().is_some_and(|end| end == "rhai") => n += 1,
                _ => {}
            }
        }
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::print::Captured,
        model::{Diagnostic, Place, SourceFile},
    };

    fn findings() -> Diagnostics {
        let file = SourceFile::new("campaigns/a.toml", "topci = 1\n");
        let mut found = Diagnostics::new();
        found.push(
            Diagnostic::error(
                "unknown-key",
                Place::new(&file, 0..5),
                "there is no key `topci`",
            )
            .help("did you mean `topic`?"),
        );
        found.push(Diagnostic::warning("odd", Place::new(&file, 8..9), "odd"));
        found
    }

    #[test]
    fn people_get_the_line_and_a_summary() {
        let mut captured = Captured::plain();
        let exit = report(&findings(), 3, 2, &mut captured.output).unwrap();
        assert_eq!(exit, Exit::Broken);
        assert_eq!(
            captured.out(),
            "3 campaigns, 2 scripts: 1 error, 1 warning\n"
        );
        let shown = captured.err();
        assert!(shown.contains("campaigns/a.toml:1:1") && shown.contains("topci = 1"));
        assert!(shown.contains("did you mean `topic`?"));
    }

    #[test]
    fn programs_get_an_object_a_line() {
        let mut captured = Captured::json();
        report(&findings(), 3, 2, &mut captured.output).unwrap();
        let lines: Vec<serde_json::Value> = captured
            .out()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["file"], "campaigns/a.toml");
        assert_eq!(
            (&lines[0]["line"], &lines[0]["column"]),
            (&1.into(), &1.into())
        );
        assert_eq!(
            (&lines[0]["severity"], &lines[1]["severity"]),
            (&"error".into(), &"warning".into())
        );
        assert_eq!(captured.err(), "");
    }

    #[test]
    fn nothing_wrong_is_said_too() {
        let mut captured = Captured::plain();
        let exit = report(&Diagnostics::new(), 1, 0, &mut captured.output).unwrap();
        assert_eq!(exit, Exit::Done);
        assert_eq!(captured.out(), "1 campaign, 0 scripts: no errors\n");
    }

    #[test]
    fn scripts_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("deep/.hidden")).unwrap();
        for name in [
            "a.rhai",
            "deep/b.rhai",
            "deep/.hidden/c.rhai",
            ".d.rhai",
            "e.txt",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(scripts(folder.path().to_owned()), 2);
        assert_eq!(scripts(folder.path().join("missing")), 0);
    }
}
