//! What people read on standard output: the table a start prints, and the routes.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};

use malla_edge::RouteRow;

/// Writes to standard output; a reader that has left is no fault of ours.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// One line of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) listens: String,
    pub(crate) store: String,
}

/// Formats what a start prints: each service, where it listens, where its data is; and calls to try.
pub(crate) fn table(rows: &[Row], examples: &[String]) -> String {
    let lines = [["SERVICE".to_owned(), "LISTENS".to_owned(), "STORE".to_owned()]].into_iter();
    let lines = lines.chain(rows.iter().map(|row| [row.name.to_owned(), row.listens.clone(), row.store.clone()]));
    let mut text = format!("\n{}", columns(&lines.collect::<Vec<_>>()));
    text.push_str("\n  Try\n");
    for example in examples {
        let _ = writeln!(text, "    {example}");
    }
    text.push('\n');
    text
}

/// Formats the routing table of the edge.
pub(crate) fn routes(rows: impl Iterator<Item = RouteRow>) -> String {
    let title = ["METHOD", "PATH", "STATUS", "ACCESS", "RPC"].map(str::to_owned);
    let line = |row: RouteRow| {
        let query =
            if row.required_query.is_empty() { String::new() } else { format!("?{}", row.required_query.join("&")) };
        let access = format!("{:?}", row.access).to_lowercase();
        [row.http_method, row.path + &query, row.success_status.to_string(), access, row.rpc]
    };
    columns(&[title].into_iter().chain(rows.map(line)).collect::<Vec<_>>())
}

fn columns<const N: usize>(lines: &[[String; N]]) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for line in lines {
        let cells: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "  {}", cells.join("  ").trim_end());
    }
    text
}
