//! Content codings: what a body came in, and what an answer goes out in.
//!
//! Bodies are decompressed in small steps against a limit, so that a bomb is
//! refused when it passes the limit and not when it has filled memory.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#compression>

use std::io::{Cursor, Read, Write};

use super::negotiate::thousandths;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The codings that are taken, for `Accept-Encoding`.
pub(super) const TAKEN: &str = "gzip, deflate, br, zstd";

/// Bytes from which on an answer is compressed: what fits one packet gains nothing.
const BODY_BYTES_MIN: usize = 1_400;

/// The greatest window of a zstd frame, as a power of two: the 8 MiB that RFC
/// 8878 asks a decoder to support; a frame may claim more memory than that.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

impl Coding {
    /// Returns the token of the coding.
    pub(super) fn token(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }

    fn named(token: &str) -> Option<Coding> {
        match token.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Coding::Gzip),
            "deflate" => Some(Coding::Deflate),
            "br" => Some(Coding::Brotli),
            "zstd" => Some(Coding::Zstd),
            _ => None,
        }
    }

    /// Reads `Content-Encoding`; `Ok(None)` for a body as it is.
    ///
    /// # Errors
    /// `()` for a coding that is not known, or several over one another.
    pub(super) fn of_content(header: Option<&str>) -> Result<Option<Coding>, ()> {
        match header.map(str::trim) {
            None | Some("") => Ok(None),
            Some(identity) if identity.eq_ignore_ascii_case("identity") => Ok(None),
            Some(token) => Coding::named(token).map(Some).ok_or(()),
        }
    }

    /// Chooses by `Accept-Encoding`; `None` for the body as it is. Among
    /// codings liked equally, the one that costs least for its gain.
    pub(super) fn accepted(header: Option<&str>) -> Option<Coding> {
        let header = header?;
        let mut best: Option<(u16, u8, Coding)> = None;
        for part in header.split(',') {
            let mut pieces = part.split(';');
            let token = pieces.next().unwrap_or("").trim();
            let quality = pieces
                .filter_map(|p| p.split_once('='))
                .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
                .map_or(1000, |(_, value)| thousandths(value.trim()));
            let coding = if token == "*" { Some(Coding::Gzip) } else { Coding::named(token) };
            let Some(coding) = coding else { continue };
            let rank = match coding {
                Coding::Zstd => 3,
                Coding::Gzip => 2,
                Coding::Brotli => 1,
                // `deflate` is understood in two ways: never sent.
                Coding::Deflate => continue,
            };
            if quality > 0 && best.is_none_or(|(q, r, _)| (quality, rank) > (q, r)) {
                best = Some((quality, rank, coding));
            }
        }
        best.map(|(_, _, coding)| coding)
    }
}

/// Why a body cannot be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecodeError {
    /// It would have more bytes than are taken.
    TooLarge,
    /// It is no such coding, or ends early.
    Malformed,
}

/// Decompresses `body`, of which no more than `bytes_max` may come.
///
/// # Errors
/// Bytes past the limit, and bytes that are not in the coding.
pub(super) fn decode(coding: Coding, body: &[u8], bytes_max: usize) -> Result<Vec<u8>, DecodeError> {
    let source = Cursor::new(body);
    match coding {
        Coding::Gzip => read(flate2::read::MultiGzDecoder::new(source), bytes_max),
        // What HTTP calls deflate is zlib; some send it bare.
        Coding::Deflate => match read(flate2::read::ZlibDecoder::new(source), bytes_max) {
            Err(DecodeError::Malformed) => {
                read(flate2::read::DeflateDecoder::new(Cursor::new(body)), bytes_max)
            }
            other => other,
        },
        Coding::Brotli => read(brotli::Decompressor::new(source, 8 << 10), bytes_max),
        Coding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(source).map_err(|_| DecodeError::Malformed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|_| DecodeError::Malformed)?;
            read(decoder, bytes_max)
        }
    }
}

fn read(source: impl Read, bytes_max: usize) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    source.take(limit).read_to_end(&mut out).map_err(|_| DecodeError::Malformed)?;
    if out.len() > bytes_max { Err(DecodeError::TooLarge) } else { Ok(out) }
}

/// Tells whether an answer of this media type and size gains by compression.
pub(super) fn gains(media_type: &str, bytes: usize) -> bool {
    bytes >= BODY_BYTES_MIN
        && (media_type.starts_with("text/")
            || media_type.starts_with("application/fhir+")
            || media_type.starts_with("application/json")
            || media_type.starts_with("application/xml"))
}

/// Compresses an answer; `None` when that does not work out, and the answer
/// goes as it is.
pub(super) fn encode(coding: Coding, body: &[u8]) -> Option<Vec<u8>> {
    let out = Vec::with_capacity(body.len() / 4);
    match coding {
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::new(4));
            encoder.write_all(body).ok()?;
            encoder.finish().ok()
        }
        Coding::Brotli => {
            let mut out = out;
            let mut encoder = brotli::CompressorWriter::new(&mut out, 16 << 10, 4, 20);
            encoder.write_all(body).ok()?;
            encoder.flush().ok()?;
            drop(encoder);
            Some(out)
        }
        Coding::Zstd => zstd::bulk::compress(body, 2).ok(),
        Coding::Deflate => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deflated(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(body).expect("written");
        encoder.finish().expect("finished")
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let body = br#"{"resourceType":"Patient"}"#.repeat(1000);
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            let encoded = encode(coding, &body).expect("encoded");
            assert!(encoded.len() < body.len() / 10, "{coding:?}");
            assert_eq!(decode(coding, &encoded, body.len()).as_deref(), Ok(body.as_slice()), "{coding:?}");
            assert_eq!(decode(coding, &encoded, body.len() - 1), Err(DecodeError::TooLarge), "{coding:?}");
            let cut = &encoded[..encoded.len() - 1];
            assert_eq!(decode(coding, cut, body.len()), Err(DecodeError::Malformed), "{coding:?} cut");
            assert_eq!(decode(coding, b"{}", 10), Err(DecodeError::Malformed), "{coding:?} plain");
        }
        assert_eq!(decode(Coding::Deflate, &deflated(&body), body.len()).as_deref(), Ok(body.as_slice()));
    }

    #[test]
    fn bombs_are_refused_before_they_fill_memory() {
        let zeros = vec![0u8; 64 << 20];
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            let bomb = encode(coding, &zeros).expect("encoded");
            assert!(bomb.len() < 1 << 20, "{coding:?}");
            assert_eq!(decode(coding, &bomb, 1 << 20), Err(DecodeError::TooLarge), "{coding:?}");
        }
    }

    #[test]
    fn a_zstd_frame_may_not_claim_a_great_window() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
        encoder.window_log(27).expect("a window");
        encoder.write_all(b"little").expect("written");
        let frame = encoder.finish().expect("finished");
        assert_eq!(decode(Coding::Zstd, &frame, 100), Err(DecodeError::Malformed));
    }

    #[test]
    fn codings_liked() {
        for (header, expected) in [
            (None, None),
            (Some("gzip, deflate, br"), Some(Coding::Gzip)),
            (Some("gzip, deflate, br, zstd"), Some(Coding::Zstd)),
            (Some("br;q=1.0, gzip;q=0.5"), Some(Coding::Brotli)),
            (Some("gzip;q=0"), None),
            (Some("identity"), None),
            (Some("deflate"), None),
            (Some("*"), Some(Coding::Gzip)),
        ] {
            assert_eq!(Coding::accepted(header), expected, "{header:?}");
        }
        for (header, expected) in [
            (None, Ok(None)),
            (Some("identity"), Ok(None)),
            (Some("X-GZIP"), Ok(Some(Coding::Gzip))),
            (Some("gzip, gzip"), Err(())),
            (Some("lzma"), Err(())),
        ] {
            assert_eq!(Coding::of_content(header), expected, "{header:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(body: Vec<u8>) {
            for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
                let _ = decode(coding, &body, 1000);
            }
        }
    }
}
