//! A page of HTML with everything in it.

use std::fmt::Write as _;

use crate::picture::escape;
use crate::table::Table;

/// A page under construction: headings, paragraphs, lists, tables, pictures.
///
/// # Example
/// ```
/// use sequela_eval::report::Page;
/// let mut page = Page::new("a < b");
/// page.heading("Figures");
/// page.paragraph("<script>");
/// let text = page.finish();
/// assert!(text.contains("a &lt; b") && !text.contains("<script>"));
/// ```
#[derive(Debug, Clone)]
pub struct Page {
    text: String,
    headings: Vec<String>,
}

/// Nothing from outside, no script.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

impl Page {
    /// An empty page with its title.
    pub fn new(title: &str) -> Self {
        let title = escape(title);
        let mut text = String::new();
        let _ = write!(
            text,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
             </head>\n<body>\n<main>\n<h1>{title}</h1>\n{CONTENTS}"
        );
        Self { text, headings: Vec::new() }
    }

    /// A section begins.
    pub fn heading(&mut self, text: &str) {
        self.headings.push(escape(text));
        let number = self.headings.len();
        let _ = writeln!(self.text, "<h2 id=\"s{number}\">{number}. {}</h2>", escape(text));
    }

    /// A part of a section begins.
    pub fn subheading(&mut self, text: &str) {
        let _ = writeln!(self.text, "<h3>{}</h3>", escape(text));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.text, "<p>{}</p>", escape(text));
    }

    /// A list.
    pub fn list<S: AsRef<str>>(&mut self, items: impl IntoIterator<Item = S>) {
        self.text.push_str("<ul>\n");
        for item in items {
            let _ = writeln!(self.text, "<li>{}</li>", escape(item.as_ref()));
        }
        self.text.push_str("</ul>\n");
    }

    /// A table, its notes below.
    pub fn table(&mut self, table: &Table) {
        let _ = writeln!(self.text, "<div class=\"wide\">\n{}</div>", table.html());
    }

    /// Pictures beside each other, each with its caption; an SVG goes into the page as it is.
    pub fn pictures<'a>(&mut self, pictures: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.text.push_str("<div class=\"pictures\">\n");
        for (svg, caption) in pictures {
            let _ = writeln!(
                self.text,
                "<figure>\n{svg}<figcaption>{}</figcaption>\n</figure>",
                escape(caption)
            );
        }
        self.text.push_str("</div>\n");
    }

    /// Boxes from top to bottom, each with what leaves it at its side.
    pub fn flow(&mut self, boxes: &[(String, Option<String>)]) {
        self.text.push_str("<ol class=\"flow\">\n");
        for (what, aside) in boxes {
            let _ = write!(self.text, "<li><span>{}</span>", escape(what));
            if let Some(aside) = aside {
                let _ = write!(self.text, "<em>{}</em>", escape(aside));
            }
            self.text.push_str("</li>\n");
        }
        self.text.push_str("</ol>\n");
    }

    /// The whole page, with its list of contents.
    pub fn finish(self) -> String {
        let mut contents = String::from("<nav><ol>\n");
        for (number, heading) in (1..).zip(&self.headings) {
            let _ = writeln!(contents, "<li><a href=\"#s{number}\">{heading}</a></li>");
        }
        contents.push_str("</ol></nav>\n");
        let text = self.text.replacen(CONTENTS, &contents, 1);
        text + "</main>\n</body>\n</html>\n"
    }
}

const CONTENTS: &str = "<!--contents-->\n";

const STYLE: &str = "\
body{font:16px/1.5 system-ui,'Helvetica Neue',Arial,sans-serif;color:#1a1a1a;background:#fff;margin:0}\
main{max-width:60rem;margin:0 auto;padding:1.5rem}\
h1{font-size:1.7rem;line-height:1.2}h2{font-size:1.25rem;margin-top:2.2rem;border-bottom:1px solid #ccc}\
h3{font-size:1.05rem;margin-top:1.4rem}\
nav ol{columns:2;padding-left:1.4rem}a{color:#005a8f}\
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;margin:.6rem 0}\
th,td{padding:.25rem .7rem;text-align:left;vertical-align:top;border-bottom:1px solid #e2e2e2}\
th{border-bottom:2px solid #888}.r{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
.note{font-size:.85rem;color:#444;margin:.1rem 0}\
.pictures{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0;width:440px;max-width:100%}\
figure svg{width:100%;height:auto}figcaption{font-size:.88rem;color:#333}\
.flow{list-style:none;padding:0}.flow li{display:flex;align-items:center;gap:1rem;margin:.3rem 0}\
.flow span{border:1px solid #555;border-radius:4px;padding:.4rem .8rem;min-width:18rem}\
.flow em{font-style:normal;color:#444;font-size:.9rem}.flow em:before{content:'\\2192  '}\
@page{margin:12mm}\
@media print{main{max-width:none;padding:0}h2{break-after:avoid}figure,tr{break-inside:avoid}.wide{overflow:visible}\
table{font-size:6.5pt}th,td{padding:.15rem .3rem}figure{width:48%}.pictures{gap:2%}}";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Align;

    #[test]
    fn nothing_of_the_data_becomes_markup() {
        let evil = "</td><script>alert(1)</script><img src=x onerror=y>\"'";
        let mut page = Page::new(evil);
        page.heading(evil);
        page.subheading(evil);
        page.paragraph(evil);
        page.list([evil]);
        page.flow(&[(evil.to_owned(), Some(evil.to_owned()))]);
        let mut table = Table::new(&[(evil, Align::Left)]);
        table.row([evil]);
        table.note(evil);
        page.table(&table);
        page.pictures([("<svg></svg>", evil)]);
        let text = page.finish();
        assert!(!text.contains("<script") && !text.contains("<img"), "{text}");
        assert!(!text.contains("http://") && !text.contains("https://"));
        assert!(text.ends_with("</html>\n") && text.contains("<a href=\"#s1\">"));
    }
}
