//! A message as it was sent, taken apart just enough for tests. What other programs make of it is tested with Python's
//! `email` package.

/// A message.
pub struct Mail {
    pub raw: String,
}

impl Mail {
    pub fn read(bytes: &[u8]) -> Self {
        Self {
            raw: String::from_utf8_lossy(bytes).into_owned(),
        }
    }

    /// A header's value, unfolded, not decoded.
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self
            .raw
            .split("\r\n\r\n")
            .next()?
            .replace("\r\n ", " ")
            .replace("\r\n\t", " ");
        head.split("\r\n").find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    }

    /// The message without soft line breaks and with `=XX` decoded: enough to look for words.
    pub fn decoded(&self) -> String {
        let joined = self.raw.replace("=\r\n", "");
        let mut bytes = Vec::with_capacity(joined.len());
        let raw = joined.as_bytes();
        let mut at = 0;
        while at < raw.len() {
            let code = (raw[at] == b'=')
                .then(|| raw.get(at + 1..at + 3))
                .flatten()
                .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
            if let Some(byte) = code {
                bytes.push(byte);
                at += 3;
            } else {
                bytes.push(raw[at]);
                at += 1;
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The link of List-Unsubscribe that goes over HTTP.
    pub fn unsubscribe_url(&self) -> Option<String> {
        let header = self.header("List-Unsubscribe")?;
        header
            .split(['<', '>'])
            .find(|part| part.starts_with("http"))
            .map(ToOwned::to_owned)
    }
}
