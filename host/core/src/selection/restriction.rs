//! Which rows of a table are on the register: those whose columns name members.

use super::{Domain, MemberKind, Members};
use crate::table::TableName;
use std::fmt;
use std::sync::Arc;

/// A table's rows hang on the member that a column names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependence {
    pub column: String,
    pub kind: MemberKind,
    /// Only rows with this code name a member in `column`; the others always come.
    pub only: Option<Code>,
}

/// `ITEMCODE=0`: a row of PRICEDISCTABLE is of one item, not of a group or of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    pub column: String,
    pub value: i64,
}

/// One line of the list of dependent tables; several lines of one table must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependent {
    pub table: TableName,
    /// Who the rows are about, however they name it.
    pub domain: Domain,
    /// `None`: the table comes whole, whatever a longer list says.
    pub on: Option<Dependence>,
}

/// Which rows of a table are on the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restriction {
    /// None: what is personal does not come.
    Withheld,
    /// Those whose columns name members, all of them.
    Members(Vec<Dependence>),
}

impl Restriction {
    pub fn kinds(&self) -> impl Iterator<Item = MemberKind> + '_ {
        let list = match self {
            Restriction::Withheld => &[][..],
            Restriction::Members(list) => list,
        };
        list.iter().map(|one| one.kind)
    }

    /// Reads what `Display` wrote.
    pub fn parse(text: &str) -> Option<Restriction> {
        if text == WITHHELD {
            return Some(Restriction::Withheld);
        }
        text.split("; ").map(Dependence::parse).collect::<Option<_>>().map(Restriction::Members)
    }
}

pub(super) const WITHHELD: &str = "withheld";

impl fmt::Display for Restriction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Restriction::Withheld => f.write_str(WITHHELD),
            Restriction::Members(list) => {
                let lines: Vec<String> = list.iter().map(Dependence::to_string).collect();
                f.write_str(&lines.join("; "))
            }
        }
    }
}

impl Dependence {
    fn parse(text: &str) -> Option<Dependence> {
        let mut words = text.split(' ');
        let column = words.next().filter(|word| !word.is_empty())?.to_string();
        let kind = MemberKind::parse(words.next()?)?;
        let only = match words.next() {
            None => None,
            Some(code) => {
                let (column, value) = code.split_once('=')?;
                Some(Code { column: column.to_string(), value: value.parse().ok()? })
            }
        };
        words.next().is_none().then_some(Dependence { column, kind, only })
    }
}

/// `ITEMRELATION item ITEMCODE=0`; names of columns in AX have no blanks.
impl fmt::Display for Dependence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.column, self.kind.name())?;
        match &self.only {
            Some(code) => write!(f, " {}={}", code.column, code.value),
            None => Ok(()),
        }
    }
}

/// A table's restriction with the sets that it goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restricted {
    pub restriction: Restriction,
    pub members: Arc<Members>,
}

#[cfg(test)]
mod tests {
    use super::Restriction;

    #[test]
    fn a_restriction_survives_its_text() {
        for text in ["withheld", "ITEMID item", "ITEMRELATION item ITEMCODE=0; PRODUCT product"] {
            let read = Restriction::parse(text).expect(text);
            assert_eq!(read.to_string(), text);
        }
        for text in ["", "ITEMID", "ITEMID thing", "A item B", "A item B=x", "A item B=1 C"] {
            assert_eq!(Restriction::parse(text), None, "{text}");
        }
    }
}
