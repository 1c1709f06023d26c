//! What a list is asked for.

use axum::extract::Query;
use axum::http::Uri;

use super::error::ApiError;
use crate::view::PeeringQuery;

/// The largest number, as the description has it (`int32`).
const MOST: u32 = i32::MAX.unsigned_abs();

/// The parts of a query.
type Pairs = Vec<(String, String)>;

/// Which peerings, and how many.
pub(super) fn peerings(uri: &Uri) -> Result<PeeringQuery, ApiError> {
    let mut query = PeeringQuery::default();
    let mut seen = Vec::new();
    for (key, value) in pairs(uri)? {
        match key.as_str() {
            "label" => {
                query.labels.push(value);
                continue;
            }
            "limit" => query.limit = Some(number(&key, &value, 1)?),
            "offset" => query.offset = number(&key, &value, 0)?,
            _ => return Err(unknown("label, limit and offset")),
        }
        if seen.contains(&key) {
            return Err(ApiError::invalid(format!("the query has `{key}` twice")));
        }
        seen.push(key);
    }
    Ok(query)
}

/// The zone of networks, if a query names one.
pub(super) fn zone(uri: &Uri) -> Result<Option<String>, ApiError> {
    let mut zone = None;
    for (key, value) in pairs(uri)? {
        match (key.as_str(), &zone) {
            ("zone", None) => zone = Some(value),
            ("zone", Some(_)) => return Err(ApiError::invalid("the query has `zone` twice")),
            _ => return Err(unknown("zone")),
        }
    }
    Ok(zone)
}

/// An endpoint that takes no query.
pub(super) fn none(uri: &Uri) -> Result<(), ApiError> {
    match pairs(uri)?.is_empty() {
        true => Ok(()),
        false => Err(ApiError::invalid("this endpoint takes no query")),
    }
}

fn pairs(uri: &Uri) -> Result<Pairs, ApiError> {
    let Query(pairs) = Query::<Pairs>::try_from_uri(uri)
        .map_err(|rejection| ApiError::invalid(rejection.body_text()))?;
    Ok(pairs)
}

fn unknown(known: &str) -> ApiError {
    ApiError::invalid(format!("the query has an unknown key; known here: {known}"))
}

fn number(key: &str, text: &str, least: u32) -> Result<usize, ApiError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<u32>().ok().filter(|number| digits && *number >= least);
    let number = number.filter(|number| *number <= MOST).and_then(|it| usize::try_from(it).ok());
    number.ok_or_else(|| {
        ApiError::invalid(format!("`{key}` must be a whole number from {least} to {MOST}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_limit_and_offset_are_read_and_nothing_else() {
        let parse = |query: &str| peerings(&format!("/x?{query}").parse().unwrap());
        let query = parse("label=env%3Dprod&label=a%3Db%3Dc&limit=5&offset=0").unwrap();
        assert_eq!((query.limit, query.offset), (Some(5), 0));
        let config = |labels: &[(&str, &str)]| {
            labels.iter().map(|(key, value)| (format!("user.{key}"), (*value).to_owned())).collect()
        };
        let both = config(&[("a", "b=c"), ("env", "prod")]);
        assert!(query.admits(&both) && !query.admits(&config(&[("a", "b=c")])));
        assert!(parse("label=env").unwrap().admits(&both));
        assert!(!parse("label=en").unwrap().admits(&both));
        for bad in [
            "limit=0",
            "limit=-1",
            "limit=x",
            "limit=",
            "offset=+1",
            "offset=2147483648",
            "limit=1&limit=2",
            "x=1",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(zone(&"/x?zone=a".parse().unwrap()).unwrap().is_some());
        assert!(zone(&"/x?zon=a".parse().unwrap()).is_err());
        assert!(none(&"/x?a".parse().unwrap()).is_err() && none(&"/x".parse().unwrap()).is_ok());
    }
}
