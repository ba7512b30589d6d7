//! What a POST to a way out asks for.

use crate::engine::OptOut;

/// What a POST asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Out. Whatever is not one of our own forms asks for this: the mail program's one click (RFC 8058 §3.1), the page's
    /// button, an empty body.
    Leave(OptOut),
    /// In again.
    Return(OptOut),
}

impl Action {
    /// Reads a body. Only our own urlencoded forms can ask for anything but leaving the topic.
    pub(super) fn read(content_type: &str, body: &[u8]) -> Self {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let fields = || {
            body.split(|&byte| byte == b'&')
                .filter_map(|pair| pair.split_once_byte(b'='))
        };
        let one_click = fields().any(|(name, _)| name.eq_ignore_ascii_case(b"List-Unsubscribe"));
        if one_click || !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Self::Leave(OptOut::Topic);
        }
        match fields().find(|(name, _)| *name == b"action") {
            Some((_, b"all")) => Self::Leave(OptOut::All),
            Some((_, b"undo")) => Self::Return(OptOut::Topic),
            Some((_, b"undo_all")) => Self::Return(OptOut::All),
            _ => Self::Leave(OptOut::Topic),
        }
    }

    /// The value of `action` in the form that asks for it; `None`: the form has no field.
    pub(super) fn field(self) -> Option<&'static str> {
        match self {
            Self::Leave(OptOut::Topic) => None,
            Self::Leave(OptOut::All) => Some("all"),
            Self::Return(OptOut::Topic) => Some("undo"),
            Self::Return(OptOut::All) => Some("undo_all"),
        }
    }
}

trait SplitOnceByte {
    fn split_once_byte(&self, at: u8) -> Option<(&[u8], &[u8])>;
}

impl SplitOnceByte for [u8] {
    fn split_once_byte(&self, at: u8) -> Option<(&[u8], &[u8])> {
        let place = self.iter().position(|&byte| byte == at)?;
        Some((&self[..place], &self[place + 1..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";

    #[test]
    fn only_our_own_forms_ask_for_more_than_leaving() {
        let leave = Action::Leave(OptOut::Topic);
        for (content_type, body, action) in [
            (FORM, "", leave),
            (FORM, "List-Unsubscribe=One-Click", leave),
            (FORM, "List-Unsubscribe=One-Click&action=undo", leave),
            (FORM, "action=undo", Action::Return(OptOut::Topic)),
            (FORM, "action=undo_all", Action::Return(OptOut::All)),
            (FORM, "x=1&action=all", Action::Leave(OptOut::All)),
            (FORM, "action=undoing", leave),
            ("multipart/form-data; boundary=x", "action=undo", leave),
            ("", "action=undo", leave),
        ] {
            assert_eq!(
                Action::read(content_type, body.as_bytes()),
                action,
                "{body}"
            );
        }
    }

    #[test]
    fn every_form_is_read_as_what_it_was_made_for() {
        for scope in [OptOut::Topic, OptOut::All] {
            for action in [Action::Leave(scope), Action::Return(scope)] {
                let body = action
                    .field()
                    .map_or(String::new(), |f| format!("action={f}"));
                assert_eq!(Action::read(FORM, body.as_bytes()), action);
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(content_type in ".{0,40}", body: Vec<u8>) {
            Action::read(&content_type, &body);
        }
    }
}
