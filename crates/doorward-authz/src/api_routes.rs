//! Which requests come from programs rather than people (`--api-route`): they get JSON instead of a login page.
//! This decides the shape of an answer, never whether somebody may pass.

use doorward_core::{InvalidPattern, PathPattern};

/// Expressions that are searched in path and query as they came.
#[derive(Clone, Debug, Default)]
pub struct ApiRoutes(Vec<PathPattern>);

impl ApiRoutes {
    pub fn parse(expressions: &[String]) -> Result<Self, InvalidPattern> {
        expressions
            .iter()
            .map(|expression| PathPattern::parse(expression))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub fn matches(&self, path_and_query: &str) -> bool {
        self.0.iter().any(|pattern| pattern.is_match(path_and_query))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_counts() {
        let routes = ApiRoutes::parse(&["^/api/".to_owned(), "format=api$".to_owned()]).unwrap();
        for (target, expected) in
            [("/api/v1", true), ("/x?format=api", true), ("/x", false), ("/x/api/", false)]
        {
            assert_eq!(routes.matches(target), expected, "{target}");
        }
        assert!(ApiRoutes::parse(&["^/(open".to_owned()]).is_err());
        assert!(!ApiRoutes::default().matches("/"));
    }
}
