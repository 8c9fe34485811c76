//! Text that fills its column exactly, whatever characters it is made of.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::look::Look;

impl Look {
    /// `text` in exactly `width` cells: padded at the end, or cut with a mark.
    pub(super) fn fit(self, text: &str, width: usize) -> String {
        let mut text = self.cut(text, width);
        let pad = width.saturating_sub(text.width());
        text.extend(std::iter::repeat_n(' ', pad));
        text
    }

    /// The same, padded at the start.
    pub(super) fn fit_right(self, text: &str, width: usize) -> String {
        let text = self.cut(text, width);
        format!("{}{text}", " ".repeat(width.saturating_sub(text.width())))
    }

    /// `text` in at most `width` cells. With ASCII only, other characters become `?`.
    pub(super) fn cut(self, text: &str, width: usize) -> String {
        let shown = |c: char| if self.ascii && !c.is_ascii() { '?' } else { c };
        let text: String = text.chars().map(shown).collect();
        if text.width() <= width {
            return text;
        }
        let (mark, mut room) = (if self.ascii { '~' } else { '…' }, width.saturating_sub(1));
        let mut cut: String = text
            .chars()
            .take_while(|c| {
                let cells = c.width().unwrap_or(0);
                let fits = cells <= room;
                room = if fits { room - cells } else { 0 };
                fits
            })
            .collect();
        if width > 0 {
            cut.push(mark);
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::super::look::Depth;
    use super::*;
    use proptest::prelude::*;

    const UNICODE: Look = Look { ascii: false, depth: Depth::None };
    const ASCII: Look = Look { ascii: true, depth: Depth::None };

    #[test]
    fn columns_are_filled() {
        assert_eq!(UNICODE.fit("/a", 4), "/a  ");
        assert_eq!(UNICODE.fit_right("12", 4), "  12");
        assert_eq!(UNICODE.fit("/patients", 5), "/pat…");
        assert_eq!(ASCII.fit("/münchen", 5), "/m?n~");
        assert_eq!(UNICODE.fit("患者患者", 4), "患… ", "half of a wide character is a space");
        assert_eq!(UNICODE.fit("abc", 0), "");
    }

    proptest! {
        #[test]
        fn whatever_the_text_the_width_is_exact(text in "\\PC{0,40}", width in 0_usize..30) {
            let text = crate::clean::Label::clean(&text);
            prop_assert_eq!(UNICODE.fit(text.as_str(), width).width(), width);
            prop_assert_eq!(ASCII.fit_right(text.as_str(), width).len(), width);
        }
    }
}
