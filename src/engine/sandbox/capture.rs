//! Bounded capture of a command's output: the head, the tail and the number of bytes between. The
//! whole output is also kept, up to a limit, for the operator.

use std::collections::VecDeque;

const HEAD_BYTES: usize = 20 * 1024;
const TAIL_BYTES: usize = 8 * 1024;
/// Maximum number of bytes kept for the operator.
pub(super) const WHOLE_BYTES: usize = 10 * 1024 * 1024;

/// Output captured so far.
#[derive(Default)]
pub(super) struct OutputCapture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// From the first byte on; with more than the head only once there is more.
    whole: Vec<u8>,
    total: u64,
}

impl OutputCapture {
    /// Appends bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        self.whole
            .extend_from_slice(&bytes[..bytes.len().min(WHOLE_BYTES - self.whole.len())]);
        let (first, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES - self.head.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(TAIL_BYTES)..];
        let over = (self.tail.len() + rest.len()).saturating_sub(TAIL_BYTES);
        self.tail.drain(..over);
        self.tail.extend(rest);
    }

    /// Returns the total number of bytes received.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Returns the whole output if the text omits part of it. Bytes beyond 10 MiB are only counted.
    pub(super) fn take_whole(&mut self) -> Option<String> {
        let whole = std::mem::take(&mut self.whole);
        if self.total <= (HEAD_BYTES + TAIL_BYTES) as u64 {
            return None;
        }
        let beyond = self.total - whole.len() as u64;
        let text = String::from_utf8_lossy(&whole).into_owned();
        Some(if beyond == 0 {
            text
        } else {
            format!("{text}\n[... {beyond} bytes were not kept]\n")
        })
    }

    /// Returns the text; invalid UTF-8 is replaced.
    pub(super) fn into_text(self) -> String {
        let kept = (self.head.len() + self.tail.len()) as u64;
        let tail: Vec<u8> = self.tail.into();
        let cut = self.total - kept;
        if cut == 0 {
            return String::from_utf8_lossy(&[self.head, tail].concat()).into_owned();
        }
        let (head, tail) = (
            String::from_utf8_lossy(&self.head),
            String::from_utf8_lossy(&tail),
        );
        format!("{head}\n[... {cut} bytes cut here ...]\n{tail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_flood_is_counted_and_not_kept() {
        for piece in [1, 1000, 50_000] {
            let whole: Vec<u8> = (0..100_000_u32)
                .map(|n| b'a' + u8::try_from(n % 26).unwrap())
                .collect();
            let mut capture = OutputCapture::default();
            whole.chunks(piece).for_each(|bytes| capture.push(bytes));
            assert_eq!(capture.total(), 100_000);
            let expected = format!(
                "{}\n[... {} bytes cut here ...]\n{}",
                std::str::from_utf8(&whole[..HEAD_BYTES]).unwrap(),
                100_000 - HEAD_BYTES - TAIL_BYTES,
                std::str::from_utf8(&whole[100_000 - TAIL_BYTES..]).unwrap()
            );
            assert_eq!(capture.into_text(), expected, "{piece}");
        }
    }

    #[test]
    fn the_whole_is_kept_up_to_its_limit_where_the_text_leaves_some_out() {
        let whole_of = |bytes: usize| {
            let mut capture = OutputCapture::default();
            vec![b'x'; bytes]
                .chunks(9_000_000)
                .for_each(|bytes| capture.push(bytes));
            capture.take_whole().map(|whole| {
                whole.trim_start_matches('x').to_owned() + &format!(" of {}", whole.len())
            })
        };
        let (fits, most) = (HEAD_BYTES + TAIL_BYTES, WHOLE_BYTES);
        assert_eq!(whole_of(fits), None);
        assert_eq!(whole_of(fits + 1), Some(format!(" of {}", fits + 1)));
        assert_eq!(whole_of(most), Some(format!(" of {most}")));
        assert!(
            whole_of(most + 7)
                .unwrap()
                .starts_with("\n[... 7 bytes were not kept]\n of ")
        );
    }

    #[test]
    fn what_fits_is_kept_whole() {
        let whole = "ä".repeat((HEAD_BYTES + TAIL_BYTES) / 2);
        let mut capture = OutputCapture::default();
        whole
            .as_bytes()
            .chunks(7)
            .for_each(|bytes| capture.push(bytes));
        assert_eq!(capture.into_text(), whole);
    }
}
