//! Requests as those take them in who stand for others in tests.

use std::io::{BufRead, Result};

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it is sent to.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Request {
    /// Reads the next request of a connection; `None` when there is none any more.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn read(reader: &mut impl BufRead) -> Result<Option<Request>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut request = Request { path, headers, body: Vec::new() };
        if request.header("transfer-encoding").contains("chunked") {
            loop {
                let mut size = String::new();
                reader.read_line(&mut size)?;
                let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
                let mut chunk = vec![0; size + 2];
                reader.read_exact(&mut chunk)?;
                request.body.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    break;
                }
            }
        } else {
            request.body.resize(request.header("content-length").parse().unwrap_or(0), 0);
            reader.read_exact(&mut request.body)?;
        }
        Ok(Some(request))
    }

    /// Returns a header; empty for none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}
