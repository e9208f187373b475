//! What a policy may not do, found before it is ever evaluated: calls of functions that the engine does not have, which it
//! would notice only in the middle of a request; of functions that ask others, that no two evaluations agree about, or
//! that no bound holds; functions that call themselves, for which the engine has no end but that of the stack; and names
//! that both a rule and data give a value to. The same goes for chains of rules that are longer than a thread's stack can
//! be trusted with. Each is told with file, line and mend.

use std::collections::{BTreeMap, BTreeSet};

use regorus::{
    unstable::{BUILTINS, Expr, Literal, Module, Query, Ref, Rule, RuleAssign, RuleHead, Span},
    utils::{FunctionTable, gather_functions, get_path_string},
};
use serde_json::Value;

use super::Data;

/// The longest chain of rules that need each other. Each takes 10 KiB or so of a stack of 2 MiB.
const LONGEST_CHAIN: usize = 50;

/// Functions that nobody may call, and why.
const REFUSED: [(&str, &str); 4] = [
    ("http.send", "policies here ask nobody: put what it asks for into `data`, or use a policy of type opa"),
    ("opa.runtime", "there is no OPA whose environment it could read: put what it reads into `data`"),
    ("rand.intn", "a decision follows from the request alone"),
    ("graph.reachable_paths", "its results have no bound: use graph.reachable"),
];
const TOKENS: &str = "tokens are verified before a policy is asked: read `input.identity`";
const ELSEWHERE: &str = "the embedded engine has no such function: use a policy of type opa";
const UNKNOWN: &str = "there is no such function";

/// All of them, by file and line.
pub(super) fn faults(modules: &[Ref<Module>], data: &[Data<'_>]) -> Vec<String> {
    let functions = match gather_functions(modules) {
        Ok(functions) => functions,
        Err(error) => return vec![super::complaint(&error)],
    };
    let mut faults = Vec::new();
    let (mut calling, mut needing) = (Edges::new(), Edges::new());
    let rules = rule_names(modules);
    for module in modules {
        let Ok(package) = get_path_string(&module.package.refr, Some("data")) else {
            faults.push(at(&module.package.span, "its package has a name that cannot be read"));
            continue;
        };
        let mut walk = Walk {
            functions: &functions,
            rules: &rules,
            imports: imports(module),
            package: &package,
            calls: BTreeSet::new(),
            uses: BTreeSet::new(),
            faults,
        };
        for rule in &module.policy {
            walk.rule(rule);
            let (called, mut used) = (std::mem::take(&mut walk.calls), std::mem::take(&mut walk.uses));
            used.extend(called.iter().cloned());
            if let Some(name) = rule_name(rule, &package) {
                for (edges, to) in [(&mut calling, called), (&mut needing, used)] {
                    let edge =
                        edges.entry(name.clone()).or_insert_with(|| (rule.span().clone(), BTreeSet::new()));
                    edge.1.extend(to);
                }
            }
            if let Some(place) = given_by_data(rule, &package, data) {
                walk.faults.push(at(rule.span(), &format!("{place} gives a value to the same name")));
            }
        }
        faults = walk.faults;
    }
    faults.extend(recursive(&calling));
    faults.extend(too_long(&needing));
    faults
}

/// What a query names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Rule,
    /// Several rules, which give values to names below it.
    Rules,
    /// No rule, or a whole package.
    Nothing,
}

pub(super) fn lies_at(modules: &[Ref<Module>], query: &str) -> Place {
    let below =
        |path: &str| path.strip_prefix(query).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let mut place = Place::Nothing;
    for module in modules {
        let Ok(package) = get_path_string(&module.package.refr, Some("data")) else { continue };
        if below(&package) {
            return Place::Nothing;
        }
        for rule in &module.policy {
            let refr = match &**rule {
                // A function has no value of its own.
                Rule::Spec { head: RuleHead::Func { .. }, .. } => continue,
                Rule::Spec { head: RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. }, .. }
                | Rule::Default { refr, .. } => refr,
            };
            match get_path_string(refr, Some(&package)) {
                Ok(path) if path == query && is_plain(refr) => return Place::Rule,
                Ok(path) if below(&path) => place = Place::Rules,
                _ => {}
            }
        }
    }
    place
}

/// The names that rules give values to, as far as they are fixed.
fn rule_names(modules: &[Ref<Module>]) -> BTreeSet<String> {
    let of_module = |module: &Ref<Module>| {
        let package = get_path_string(&module.package.refr, Some("data")).ok()?;
        Some(module.policy.iter().filter_map(|rule| rule_name(rule, &package)).collect::<Vec<_>>())
    };
    modules.iter().filter_map(of_module).flatten().collect()
}

/// Which rules need which, and where they are.
type Edges = BTreeMap<String, (Span, BTreeSet<String>)>;

fn at(span: &Span, what: &str) -> String {
    format!("{}:{}:{}: {what}", span.source.file(), span.line, span.col)
}

/// A function by its whole name, any other rule by its first one.
fn rule_name(rule: &Rule, package: &str) -> Option<String> {
    let refr = match rule {
        Rule::Spec { head: RuleHead::Func { refr, .. }, .. } => refr,
        Rule::Spec { head: RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. }, .. }
        | Rule::Default { refr, .. } => root(refr),
    };
    get_path_string(refr, Some(package)).ok()
}

/// What imports are called in a module, and what they are.
fn imports(module: &Module) -> BTreeMap<String, String> {
    let import = |import: &regorus::unstable::Import| {
        let path = get_path_string(&import.refr, None).ok()?;
        let alias = match &import.r#as {
            Some(alias) => alias.text().to_owned(),
            None => path.rsplit('.').next()?.to_owned(),
        };
        Some((alias, path))
    };
    module.imports.iter().filter_map(import).collect()
}

/// The data file that has something where the rule is, or a value above it that is no object.
fn given_by_data<'a>(rule: &Rule, package: &str, data: &'a [Data<'_>]) -> Option<std::path::Display<'a>> {
    let name = rule_name(rule, package)?;
    let names: Vec<_> = name.split('.').skip(1).collect();
    let gives = |data: &&Data<'_>| {
        let mut names = names.iter();
        for folder in data.under {
            match names.next() {
                Some(name) if name == folder => {}
                // It lies beside the rule, or the rule above it.
                Some(_) => return false,
                None => return true,
            }
        }
        let mut value = &data.value;
        for name in names {
            match value {
                Value::Object(object) => match object.get(*name) {
                    Some(next) => value = next,
                    None => return false,
                },
                _ => return true,
            }
        }
        true
    };
    data.iter().find(gives).map(|data| data.path.display())
}

/// The first name of a reference.
fn root(expr: &Ref<Expr>) -> &Ref<Expr> {
    match &**expr {
        Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } => root(refr),
        _ => expr,
    }
}

/// A module's rules being read.
struct Walk<'a> {
    functions: &'a FunctionTable,
    rules: &'a BTreeSet<String>,
    imports: BTreeMap<String, String>,
    package: &'a str,
    /// The functions of policies that the rule calls.
    calls: BTreeSet<String>,
    /// The rules that it may need: names of variables are taken for those of rules.
    uses: BTreeSet<String>,
    faults: Vec<String>,
}

impl Walk<'_> {
    fn rule(&mut self, rule: &Rule) {
        match rule {
            Rule::Default { args, value, .. } => {
                self.all(args);
                self.expr(value);
            }
            Rule::Spec { head, bodies, .. } => {
                match head {
                    RuleHead::Compr { refr, assign, .. } => {
                        self.expr(refr);
                        self.assign(assign.as_ref());
                    }
                    RuleHead::Set { refr, key, .. } => {
                        self.expr(refr);
                        self.all(key);
                    }
                    RuleHead::Func { refr, args, assign, .. } => {
                        self.expr(refr);
                        self.all(args);
                        self.assign(assign.as_ref());
                    }
                }
                for body in bodies {
                    self.assign(body.assign.as_ref());
                    self.query(&body.query);
                }
            }
        }
    }

    fn assign(&mut self, assign: Option<&RuleAssign>) {
        self.all(assign.map(|assign| &assign.value));
    }

    fn query(&mut self, query: &Query) {
        for statement in &query.stmts {
            match &statement.literal {
                Literal::SomeVars { .. } => {}
                Literal::SomeIn { key, value, collection, .. } => {
                    self.all(key);
                    self.all([value, collection]);
                }
                Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.expr(expr),
                Literal::Every { domain, query, .. } => {
                    self.expr(domain);
                    self.query(query);
                }
            }
            for replaced in &statement.with_mods {
                self.with(&replaced.refr);
                self.expr(&replaced.r#as);
            }
        }
    }

    /// Whoever replaces functions could replace them by one that is refused.
    fn with(&mut self, target: &Expr) {
        let path = get_path_string(target, None).map(|path| self.imported(&path).unwrap_or(path));
        let allowed = |path: &str| {
            let first = path.split('.').next().unwrap_or_default();
            matches!(first, "input" | "data") && !self.functions.contains_key(path)
        };
        if !path.is_ok_and(|path| allowed(&path)) {
            let what = "`with` replaces values below `input` and `data` here, and no functions";
            self.faults.push(at(target.span(), what));
        }
    }

    fn all<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Ref<Expr>>) {
        for expr in exprs {
            self.expr(expr);
        }
    }

    fn expr(&mut self, expr: &Expr) {
        self.reference(expr);
        match expr {
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. }
            | Expr::Var { .. } => {}
            Expr::Array { items, .. } | Expr::Set { items, .. } => self.all(items),
            Expr::Object { fields, .. } => {
                for (_, key, value) in fields {
                    self.all([key, value]);
                }
            }
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.expr(term);
                self.query(query);
            }
            Expr::ObjectCompr { key, value, query, .. } => {
                self.all([key, value]);
                self.query(query);
            }
            Expr::Call { fcn, params, .. } => {
                self.call(fcn);
                self.all(params);
            }
            Expr::UnaryExpr { expr, .. } => self.expr(expr),
            Expr::RefDot { refr, .. } => self.expr(refr),
            Expr::RefBrack { refr, index, .. } => self.all([refr, index]),
            Expr::BinExpr { lhs, rhs, .. }
            | Expr::BoolExpr { lhs, rhs, .. }
            | Expr::ArithExpr { lhs, rhs, .. }
            | Expr::AssignExpr { lhs, rhs, .. } => self.all([lhs, rhs]),
            Expr::Membership { key, value, collection, .. } => {
                self.all(key);
                self.all([value, collection]);
            }
        }
    }

    fn reference(&mut self, expr: &Expr) {
        if !matches!(expr, Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. }) {
            return;
        }
        // What is computed is left out of the path, which then names more.
        let Ok(path) = get_path_string(expr, None) else { return };
        let own = format!("{}.{path}", self.package);
        for path in [self.imported(&path), Some(own), Some(path)].into_iter().flatten() {
            let below = |whole: &str, part: &str| {
                whole.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            let named = self.rules.iter().filter(|rule| below(&path, rule) || below(rule, &path));
            self.uses.extend(named.cloned());
        }
    }

    fn call(&mut self, function: &Expr) {
        let span = function.span();
        let path = match get_path_string(function, None) {
            Ok(path) if is_plain(function) => path,
            _ => return self.faults.push(at(span, "a function's name cannot be computed")),
        };
        if let Some((_, why)) = REFUSED.iter().find(|(name, _)| *name == path) {
            return self.faults.push(at(span, &format!("{path} cannot be called here: {why}")));
        }
        let own = format!("{}.{path}", self.package);
        let candidates = [self.imported(&path), Some(own), Some(path.clone())];
        if let Some(name) = candidates.into_iter().flatten().find(|name| self.functions.contains_key(name)) {
            self.calls.insert(name);
        } else if path != "print" && !BUILTINS.contains_key(path.as_str()) {
            let why = match path.split('.').next().unwrap_or_default() {
                "io" => TOKENS,
                "data" | "input" => UNKNOWN,
                _ if path.contains('.') => ELSEWHERE,
                _ => UNKNOWN,
            };
            self.faults.push(at(span, &format!("{path} cannot be called here: {why}")));
        }
    }

    /// The path behind a name that begins with an import.
    fn imported(&self, path: &str) -> Option<String> {
        let (alias, rest) = path.split_at_checked(path.find('.').unwrap_or(path.len()))?;
        self.imports.get(alias).map(|target| format!("{target}{rest}"))
    }
}

/// Whether a reference has names only.
fn is_plain(expr: &Expr) -> bool {
    match expr {
        Expr::Var { .. } => true,
        Expr::RefDot { refr, .. } => is_plain(refr),
        Expr::RefBrack { refr, index, .. } => matches!(**index, Expr::String { .. }) && is_plain(refr),
        _ => false,
    }
}

/// Functions that call themselves, directly or by others.
fn recursive(edges: &Edges) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, (span, called)) in edges {
        let mut seen: BTreeSet<&String> = BTreeSet::new();
        let mut ahead: Vec<&String> = called.iter().collect();
        while let Some(next) = ahead.pop() {
            if next == name {
                faults
                    .push(at(span, &format!("the function {name} calls itself, which Rego does not allow")));
                break;
            }
            if seen.insert(next) {
                ahead.extend(edges.get(next).into_iter().flat_map(|(_, called)| called));
            }
        }
    }
    faults
}

/// The chain of rules that is longest, if it is too long.
fn too_long(edges: &Edges) -> Option<String> {
    let mut lengths = BTreeMap::new();
    for name in edges.keys() {
        let length = chain(name, edges, &mut lengths, 0);
        if length > LONGEST_CHAIN {
            let (span, _) = edges.get(name)?;
            let what = format!("{name} needs a chain of more than {LONGEST_CHAIN} rules: shorten it");
            return Some(at(span, &what));
        }
    }
    None
}

/// How long the longest chain from a rule is. A rule that needs itself ends it: the engine notices that.
fn chain<'e>(
    name: &'e String,
    edges: &'e Edges,
    lengths: &mut BTreeMap<&'e String, usize>,
    depth: usize,
) -> usize {
    if let Some(known) = lengths.get(name) {
        return *known;
    }
    if depth > LONGEST_CHAIN {
        return 1;
    }
    lengths.insert(name, 0);
    let next = edges.get(name).into_iter().flat_map(|(_, next)| next);
    let length = 1 + next.map(|next| chain(next, edges, lengths, depth + 1)).max().unwrap_or(0);
    lengths.insert(name, length);
    length
}
