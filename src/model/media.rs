//! What kinds of files may go with a message: told by their endings, checked by what they begin with. What runs as a program
//! where it is opened goes with none.

/// A kind of file.
#[derive(Debug)]
pub struct Media {
    endings: &'static [&'static str],
    /// The content type (RFC 2045 §5.1).
    pub content_type: &'static str,
    signs: &'static [Sign],
}

/// What a file of a kind has.
#[derive(Debug)]
enum Sign {
    /// These bytes at an offset.
    At(usize, &'static [u8]),
    /// These bytes among the first thousand.
    Early(&'static [u8]),
}

use Sign::{At, Early};

const ZIP: &[Sign] = &[At(0, b"PK\x03\x04")];
const COMPOUND: &[Sign] = &[At(0, b"\xd0\xcf\x11\xe0")];

macro_rules! kinds {
    ($($endings:expr, $content_type:literal, $signs:expr;)*) => {
        &[$(Media { endings: &$endings, content_type: $content_type, signs: $signs }),*]
    };
}

#[rustfmt::skip]
const KINDS: &[Media] = kinds![
    ["pdf"], "application/pdf", &[Early(b"%PDF-")];
    ["png"], "image/png", &[At(0, b"\x89PNG\r\n\x1a\n")];
    ["jpg", "jpeg"], "image/jpeg", &[At(0, b"\xff\xd8\xff")];
    ["gif"], "image/gif", &[At(0, b"GIF8")];
    ["webp"], "image/webp", &[At(8, b"WEBP")];
    ["svg"], "image/svg+xml", &[Early(b"<svg")];
    ["tif", "tiff"], "image/tiff", &[At(0, b"II*\0"), At(0, b"MM\0*")];
    ["txt"], "text/plain", &[];
    ["md"], "text/markdown", &[];
    ["csv"], "text/csv", &[];
    ["html", "htm"], "text/html", &[];
    ["ics"], "text/calendar", &[Early(b"BEGIN:VCALENDAR")];
    ["vcf"], "text/vcard", &[Early(b"BEGIN:VCARD")];
    ["json"], "application/json", &[];
    ["xml"], "application/xml", &[];
    ["rtf"], "application/rtf", &[At(0, b"{\\rtf")];
    ["zip"], "application/zip", ZIP;
    ["gz"], "application/gzip", &[At(0, b"\x1f\x8b")];
    ["docx"], "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ZIP;
    ["xlsx"], "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ZIP;
    ["pptx"], "application/vnd.openxmlformats-officedocument.presentationml.presentation", ZIP;
    ["odt"], "application/vnd.oasis.opendocument.text", ZIP;
    ["ods"], "application/vnd.oasis.opendocument.spreadsheet", ZIP;
    ["odp"], "application/vnd.oasis.opendocument.presentation", ZIP;
    ["epub"], "application/epub+zip", ZIP;
    ["doc"], "application/msword", COMPOUND;
    ["xls"], "application/vnd.ms-excel", COMPOUND;
    ["ppt"], "application/vnd.ms-powerpoint", COMPOUND;
    ["mp3"], "audio/mpeg", &[At(0, b"ID3"), At(0, b"\xff\xfb"), At(0, b"\xff\xf3"), At(0, b"\xff\xf2")];
    ["mp4"], "video/mp4", &[At(4, b"ftyp")];
];

/// Endings of files that run as programs, or install them, where they are opened. Mail servers refuse them too.
const PROGRAMS: &[&str] = &[
    "ade", "adp", "apk", "app", "appx", "bat", "cab", "chm", "cmd", "com", "cpl", "deb", "dll",
    "dmg", "docm", "dotm", "exe", "hta", "img", "ins", "iso", "isp", "jar", "js", "jse", "lib",
    "lnk", "mde", "msc", "msi", "msix", "msp", "mst", "nsh", "pif", "pkg", "potm", "ppam", "ppsm",
    "pptm", "ps1", "py", "reg", "rpm", "scr", "sct", "sh", "shb", "sys", "vb", "vbe", "vbs", "vhd",
    "vxd", "wsc", "wsf", "wsh", "xlam", "xll", "xlsm", "xltm",
];

/// What programs begin with, whatever they are called.
const PROGRAM_SIGNS: &[&[u8]] = &[
    b"MZ",
    b"\x7fELF",
    b"#!",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
];

/// Why a file may not go with a message, in words, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaError {
    /// A stable name, as those of diagnostics.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: &'static str,
}

impl Media {
    /// The kind of a file by its name; `None`: the ending tells nothing.
    pub fn of_name(name: &str) -> Option<&'static Self> {
        let ending = ending(name)?;
        KINDS
            .iter()
            .find(|kind| kind.endings.contains(&ending.as_str()))
    }

    /// The kind of a file by its name, if its content is of that kind. Programs are refused, whatever they are called.
    pub fn check(name: &str, bytes: &[u8]) -> Result<Option<&'static Self>, MediaError> {
        refuse_program(name)?;
        let refused = |code, message, help| {
            Err(MediaError {
                code,
                message,
                help,
            })
        };
        if bytes.is_empty() {
            return refused(
                "empty-file",
                format!("{name} is empty"),
                "put the real file in its place",
            );
        }
        if PROGRAM_SIGNS.iter().any(|sign| bytes.starts_with(sign)) {
            return refused("program", format!("{name} is a program"), NO_PROGRAMS);
        }
        let Some(kind) = Self::of_name(name) else {
            return Ok(None);
        };
        if !kind.signs.is_empty() && !kind.signs.iter().any(|sign| sign.is_in(bytes)) {
            let seen = KINDS
                .iter()
                .find(|other| other.signs.iter().any(|sign| sign.is_in(bytes)));
            let but = seen.map_or(String::new(), |seen| {
                format!(": it looks like {}", seen.content_type)
            });
            return refused(
                "wrong-type",
                format!("{name} is no {} file{but}", kind.endings[0]),
                "save it anew, or give it the right ending",
            );
        }
        Ok(Some(kind))
    }

    /// Whether it is a picture that can stand in a message.
    pub fn is_image(&self) -> bool {
        self.content_type.starts_with("image/") && self.content_type != "image/tiff"
    }

    /// Whether it is a picture that nearly every mail program shows.
    pub fn is_common_image(&self) -> bool {
        matches!(self.content_type, "image/png" | "image/jpeg" | "image/gif")
    }
}

const NO_PROGRAMS: &str = "mail servers refuse programs: put it on a web page and link to it";

/// Refuses a name that programs have.
pub fn refuse_program(name: &str) -> Result<(), MediaError> {
    match ending(name) {
        Some(ending) if PROGRAMS.contains(&ending.as_str()) => Err(MediaError {
            code: "program",
            message: format!("{name} is a program, or opens as one"),
            help: NO_PROGRAMS,
        }),
        _ => Ok(()),
    }
}

impl Sign {
    fn is_in(&self, bytes: &[u8]) -> bool {
        match self {
            At(offset, sign) => bytes
                .get(*offset..)
                .is_some_and(|rest| rest.starts_with(sign)),
            Early(sign) => memchr::memmem::find(&bytes[..bytes.len().min(1024)], sign).is_some(),
        }
    }
}

fn ending(name: &str) -> Option<String> {
    // Windows drops dots and spaces at the end of a name before it looks at its ending.
    let name = name.trim_end_matches(['.', ' ']);
    let (stem, ending) = name.rsplit_once('.')?;
    (!stem.is_empty()).then(|| ending.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, bytes: &[u8]) -> String {
        match Media::check(name, bytes) {
            Ok(Some(kind)) => kind.content_type.to_owned(),
            Ok(None) => "unknown".to_owned(),
            Err(error) => format!("{}: {}", error.code, error.message),
        }
    }

    #[test]
    fn a_file_is_what_its_name_says() {
        assert_eq!(said("Terms.PDF", b"%PDF-1.7\n"), "application/pdf");
        assert_eq!(said("a.jpeg", b"\xff\xd8\xff\xe0"), "image/jpeg");
        assert_eq!(said("a.webp", b"RIFF\0\0\0\0WEBPVP8"), "image/webp");
        assert_eq!(said("a.tar.gz", b"\x1f\x8b\x08"), "application/gzip");
        assert_eq!(said("a.dwg", b"AC1032"), "unknown");
        assert_eq!(
            said("logo.png", b"\xff\xd8\xff\xe0"),
            "wrong-type: logo.png is no png file: it looks like image/jpeg"
        );
        assert_eq!(
            said("terms.pdf", b"<html>not found</html>"),
            "wrong-type: terms.pdf is no pdf file"
        );
        assert_eq!(said("a.pdf", b""), "empty-file: a.pdf is empty");
    }

    #[test]
    fn programs_are_refused_by_name_and_by_content() {
        for name in ["a.exe", "a.pdf.EXE", "a.exe. ", "b.docm", "c.js"] {
            assert!(said(name, b"x").starts_with("program: "), "{name}");
        }
        assert_eq!(said("a.pdf", b"MZ\x90"), "program: a.pdf is a program");
        assert_eq!(said("a", b"#!/bin/sh"), "program: a is a program");
    }
}
