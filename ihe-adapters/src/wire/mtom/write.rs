//! Writes the bytes between the parts of a multipart message.

use super::super::soap::Version;

/// The id of the part that is the message.
const ROOT: &str = "root@lanterna";

/// Writes a message with parts beside it: what comes before each part and at
/// the end; the bytes of the parts themselves come from wherever they are.
#[derive(Debug, Clone)]
pub struct Writer {
    boundary: String,
    version: Version,
}

impl Writer {
    /// Makes a writer with a boundary that nothing has by chance.
    pub fn new(version: Version) -> Writer {
        Writer { boundary: format!("lanterna-{}", uuid::Uuid::new_v4().simple()), version }
    }

    /// Returns the media type of the whole.
    pub fn content_type(&self) -> String {
        format!(
            "multipart/related; type=\"application/xop+xml\"; boundary=\"{}\"; start=\"<{ROOT}>\"; start-info=\"{}\"",
            self.boundary,
            self.version.media_type()
        )
    }

    /// Returns the part that is the message.
    pub fn root(&self, xml: &str) -> Vec<u8> {
        let head = format!(
            "--{}\r\nContent-Type: application/xop+xml; charset=UTF-8; type=\"{}\"\r\n\
             Content-Transfer-Encoding: binary\r\nContent-ID: <{ROOT}>\r\n\r\n",
            self.boundary,
            self.version.media_type()
        );
        [head.as_bytes(), xml.as_bytes()].concat()
    }

    /// Returns what comes before the bytes of a part.
    pub fn part(&self, content_id: &str, media_type: &str) -> Vec<u8> {
        // Whatever is stored, a header is one line.
        let media_type: String = media_type.chars().filter(|c| (' '..='~').contains(c)).collect();
        format!(
            "\r\n--{}\r\nContent-Type: {media_type}\r\nContent-Transfer-Encoding: binary\r\n\
             Content-ID: <{content_id}>\r\n\r\n",
            self.boundary
        )
        .into_bytes()
    }

    /// Returns what comes at the end.
    pub fn end(&self) -> Vec<u8> {
        format!("\r\n--{}--\r\n", self.boundary).into_bytes()
    }
}
