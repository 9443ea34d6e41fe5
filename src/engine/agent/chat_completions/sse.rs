//! Server-sent events: bytes in, events out, wherever the bytes are split.
//!
//! Lines are framed on bytes and decoded only when an event is whole, so that a character split
//! between two reads is no matter. Comments and fields other than `data` and `event` are dropped.
//! Reconnecting is not done here nor anywhere: it would send a paid request twice.

/// One event with data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SseEvent {
    /// The `event` field; empty when there was none.
    pub name: String,
    /// The `data` lines, joined by line ends.
    pub data: String,
}

/// How much one stream may hold, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct SseLimits {
    /// One line.
    pub line: usize,
    /// The data of one event.
    pub event: usize,
    /// Everything.
    pub stream: usize,
}

impl Default for SseLimits {
    fn default() -> Self {
        Self {
            line: 1 << 20,
            event: 4 << 20,
            stream: 64 << 20,
        }
    }
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SseFault {
    /// A line above its limit.
    #[error("a line of the stream is longer than the limit of {0} bytes")]
    Line(usize),
    /// An event above its limit.
    #[error("an event of the stream is larger than the limit of {0} bytes")]
    Event(usize),
    /// A stream above its limit.
    #[error("the stream is larger than the limit of {0} bytes")]
    Stream(usize),
    /// Bytes that are no text.
    #[error("an event of the stream is no UTF-8 text")]
    Encoding,
}

/// A stream being read.
#[derive(Default)]
pub(super) struct SseDecoder {
    limits: SseLimits,
    line: Vec<u8>,
    data: Option<Vec<u8>>,
    name: Vec<u8>,
    read: usize,
    first_line_read: bool,
    after_cr: bool,
}

impl SseDecoder {
    /// A decoder with limits of its own.
    #[cfg(test)]
    pub(super) fn with_limits(limits: SseLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Takes the next bytes and hands out the events that they complete.
    ///
    /// # Errors
    /// A limit or bad text; nothing more can be read from this stream then.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, SseFault> {
        self.read = self.read.saturating_add(bytes.len());
        if self.read > self.limits.stream {
            return Err(SseFault::Stream(self.limits.stream));
        }
        let mut events = Vec::new();
        for &byte in bytes {
            let second_half = byte == b'\n' && std::mem::take(&mut self.after_cr);
            self.after_cr = byte == b'\r';
            match byte {
                b'\n' if second_half => {}
                b'\n' | b'\r' => events.extend(self.end_line()?),
                _ if self.line.len() >= self.limits.line => {
                    return Err(SseFault::Line(self.limits.line));
                }
                _ => self.line.push(byte),
            }
        }
        Ok(events)
    }

    /// Ends the stream: hands out an event whose last blank line never came.
    ///
    /// # Errors
    /// A limit or bad text.
    pub(super) fn finish(mut self) -> Result<Option<SseEvent>, SseFault> {
        let event = self.end_line()?;
        if event.is_some() {
            Ok(event)
        } else {
            self.dispatch()
        }
    }

    fn end_line(&mut self) -> Result<Option<SseEvent>, SseFault> {
        let line = std::mem::take(&mut self.line);
        let first = !std::mem::replace(&mut self.first_line_read, true);
        let line = if first {
            line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line)
        } else {
            &line
        };
        if line.is_empty() {
            return self.dispatch();
        }
        let colon = line
            .iter()
            .position(|&byte| byte == b':')
            .unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        self.field(field, value.strip_prefix(b" ").unwrap_or(value))?;
        Ok(None)
    }

    fn field(&mut self, field: &[u8], value: &[u8]) -> Result<(), SseFault> {
        match field {
            b"data" => {
                let data = match self.data.as_mut() {
                    Some(data) => {
                        data.push(b'\n');
                        data
                    }
                    None => self.data.insert(Vec::new()),
                };
                data.extend_from_slice(value);
                if data.len() > self.limits.event {
                    Err(SseFault::Event(self.limits.event))
                } else {
                    Ok(())
                }
            }
            b"event" => {
                self.name = value.to_vec();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn dispatch(&mut self) -> Result<Option<SseEvent>, SseFault> {
        let name = std::mem::take(&mut self.name);
        let Some(data) = self.data.take() else {
            return Ok(None);
        };
        let text = |bytes| String::from_utf8(bytes).map_err(|_| SseFault::Encoding);
        Ok(Some(SseEvent {
            name: text(name)?,
            data: text(data)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut decoder = SseDecoder::default();
        let mut events = Vec::new();
        for piece in pieces {
            events.extend(decoder.push(piece).unwrap());
        }
        events.extend(decoder.finish().unwrap());
        events
            .into_iter()
            .map(|event| (event.name, event.data))
            .collect()
    }

    fn data(texts: &[&str]) -> Vec<(String, String)> {
        texts
            .iter()
            .map(|text| (String::new(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn every_way_to_write_an_event_is_read() {
        for (bytes, expected) in [
            (&b"data: a\n\ndata: b\n\n"[..], data(&["a", "b"])),
            (b"data: a\r\n\r\ndata: b\r\n\r\n", data(&["a", "b"])),
            (b"data: a\r\rdata: b\r\r", data(&["a", "b"])),
            (b"\xef\xbb\xbfdata: a\n\n", data(&["a"])),
            (b": comment\n\n:\ndata:a\n\n", data(&["a"])),
            (b"data: a\ndata: b\n\n", data(&["a\nb"])),
            (b"data: a\r\ndata: b\r\n\r\n", data(&["a\nb"])),
            (b"data: a\rdata: b\r\r", data(&["a\nb"])),
            (b"data:  a\nid: 7\nretry: 5\nnonsense\n\n", data(&[" a"])),
            (b"data\n\n", data(&[""])),
            (
                b"event: error\ndata: x\n\ndata: y\n\n",
                vec![
                    ("error".to_owned(), "x".to_owned()),
                    (String::new(), "y".to_owned()),
                ],
            ),
            (b"event: ping\n\n", data(&[])),
            (b"data: [DONE]", data(&["[DONE]"])),
            (b"data: a\n", data(&["a"])),
            (b"", data(&[])),
        ] {
            assert_eq!(
                decode(&[bytes]),
                expected,
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn limits_hold_at_the_limit_and_one_above() {
        let limits = SseLimits {
            line: 10,
            event: 8,
            stream: 40,
        };
        let push = |text: &str| {
            SseDecoder::with_limits(limits)
                .push(text.as_bytes())
                .map(|events| events.len())
        };
        assert_eq!(push("data:12345\n\n"), Ok(1));
        assert_eq!(push("data:123456\n\n"), Err(SseFault::Line(10)));
        assert_eq!(push("data:1234\ndata:567\n\n"), Ok(1));
        assert_eq!(push("data:1234\ndata:5678\n\n"), Err(SseFault::Event(8)));
        assert_eq!(push(&"\n".repeat(40)), Ok(0));
        assert_eq!(push(&"\n".repeat(41)), Err(SseFault::Stream(40)));
        assert_eq!(
            SseDecoder::default().push(b"data: \xff\n\n"),
            Err(SseFault::Encoding)
        );
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same_events(
            lines in proptest::collection::vec(
                prop_oneof![Just("data: größe 数 🦀"), Just("data:x"), Just(""), Just(": c"), Just("event: e"), Just("data")], 0..20),
            ends in proptest::collection::vec(prop_oneof![Just("\n"), Just("\r\n"), Just("\r")], 20),
            cuts in proptest::collection::vec(0usize..400, 0..12),
            bom in any::<bool>(),
        ) {
            let mut bytes = if bom { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
            for (line, end) in lines.iter().zip(&ends) {
                bytes.extend_from_slice(line.as_bytes());
                bytes.extend_from_slice(end.as_bytes());
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(decode(&pieces), decode(&[&bytes]));
            prop_assert_eq!(decode(&single), decode(&[&bytes]));
        }
    }
}
