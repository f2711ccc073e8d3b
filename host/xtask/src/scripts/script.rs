//! One script and its syntax tree.

use anyhow::{Context, Result};
use tree_sitter::{Node, Parser, Tree};

/// A parsed script.
#[derive(Debug)]
pub struct Script {
    /// File name.
    pub name: String,
    /// Its text.
    pub text: String,
    tree: Tree,
}

impl Script {
    /// Parses `text`; what does not parse is in the tree as an error node.
    pub fn parse(name: &str, text: String) -> Result<Self> {
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_powershell::LANGUAGE.into())?;
        let tree = parser
            .parse(&text, None)
            .context("the parser gave nothing")?;
        Ok(Self {
            name: name.into(),
            text,
            tree,
        })
    }

    /// Every node, parents before children.
    pub fn nodes(&self) -> Vec<Node<'_>> {
        let mut all = vec![self.tree.root_node()];
        let mut next = 0;
        while let Some(node) = all.get(next).copied() {
            let mut cursor = node.walk();
            all.extend(node.children(&mut cursor));
            next += 1;
        }
        all
    }

    /// The nodes of one kind.
    pub fn of_kind(&self, kind: &str) -> Vec<Node<'_>> {
        let all = self.nodes().into_iter();
        all.filter(|n| n.kind() == kind).collect()
    }

    /// What stands there.
    pub fn text_of(&self, node: Node<'_>) -> &str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// The parameters its first `param` block declares, without `$`.
    pub fn parameters(&self) -> Vec<String> {
        let block = self.of_kind("param_block").into_iter().next();
        block.map_or_else(Vec::new, |block| {
            let inside = self.of_kind("script_parameter").into_iter();
            inside
                .filter(|p| block.byte_range().contains(&p.start_byte()))
                .filter_map(|p| declared(p))
                .map(|v| self.text_of(v).trim_start_matches('$').to_owned())
                .collect()
        })
    }

    /// The functions it defines, each with its parameters.
    pub fn functions(&self) -> Vec<(String, Vec<String>)> {
        let mut all = Vec::new();
        for function in self.of_kind("function_statement") {
            let name = first_of_kind(function, "function_name").map(|n| self.text_of(n));
            let parameters = self.of_kind("script_parameter").into_iter();
            let parameters = parameters
                .filter(|p| function.byte_range().contains(&p.start_byte()))
                .filter_map(|p| declared(p))
                .map(|v| self.text_of(v).trim_start_matches('$').to_owned());
            all.push((name.unwrap_or_default().to_owned(), parameters.collect()));
        }
        all
    }
}

/// The variable a parameter declares; `$true` in its attribute is another.
pub fn declared(parameter: Node<'_>) -> Option<Node<'_>> {
    let mut cursor = parameter.walk();
    parameter
        .children(&mut cursor)
        .find(|c| c.kind() == "variable")
}

/// The first node of this kind below `node`, in the order of the text.
pub fn first_of_kind<'t>(node: Node<'t>, kind: &str) -> Option<Node<'t>> {
    let mut cursor = node.walk();
    for child in node.children(&mut cursor) {
        if child.kind() == kind {
            return Some(child);
        }
        if let Some(found) = first_of_kind(child, kind) {
            return Some(found);
        }
    }
    None
}
