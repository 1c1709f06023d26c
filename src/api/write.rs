//! Changes: each is one edit of the store, compared with what was read, as `ovn-peerctl` makes it.

use std::sync::Arc;

use axum::http::HeaderValue;
use uuid::{Builder, Uuid};

use super::body::{Change, New};
use super::error::{ApiError, ErrorCode};
use super::secret;
use super::service::{Caller, Service};
use crate::declare::{Edit, Half, HalfKey, NetworkKey, NotStored, parse_stored};
use crate::view::{HalfView, PeeringView};

/// How often a change is tried, if somebody else changes the peering meanwhile.
const ATTEMPTS: u32 = 5;

/// The header `If-Match`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum IfMatch {
    /// It is not there, or `*`.
    Any,
    /// One of these tags.
    Tags(Vec<String>),
}

impl IfMatch {
    pub(super) fn parse<'h>(
        values: impl IntoIterator<Item = &'h HeaderValue>,
    ) -> Result<Self, ApiError> {
        let invalid = || {
            ApiError::invalid("`If-Match` must be * or ETags, each in quotes, with commas between")
        };
        let (mut tags, mut is_any) = (Vec::new(), true);
        for value in values {
            is_any = false;
            let text = value.to_str().map_err(|_| invalid())?;
            // Empty elements of a list count for nothing (RFC 9110 section 5.6.1); a tag may have commas.
            let next = |rest: &'_ str| rest.trim_start_matches([',', ' ', '\t']).len();
            let mut rest = text.get(text.len() - next(text)..).unwrap_or_default();
            while !rest.is_empty() {
                if rest.trim_end() == "*" {
                    return Ok(Self::Any);
                }
                let weak = rest.strip_prefix("W/");
                let quoted = weak.unwrap_or(rest).strip_prefix('"').ok_or_else(invalid)?;
                let (tag, after) = quoted.split_once('"').ok_or_else(invalid)?;
                // A weak tag never fits here (RFC 9110 section 13.1.1).
                if weak.is_none() {
                    tags.push(tag.to_owned());
                }
                if !after.trim_start().is_empty() && !after.trim_start().starts_with(',') {
                    return Err(invalid());
                }
                rest = after.get(after.len() - next(after)..).unwrap_or_default();
            }
        }
        Ok(if is_any { Self::Any } else { Self::Tags(tags) })
    }

    fn check(&self, etag: &str) -> Result<(), ApiError> {
        match self {
            Self::Any => Ok(()),
            Self::Tags(tags) if tags.iter().any(|tag| tag == etag) => Ok(()),
            Self::Tags(_) => Err(ApiError::new(
                ErrorCode::PreconditionFailed,
                "the peering has changed meanwhile, and its ETag with it: read it again",
            )),
        }
    }
}

impl Service {
    pub(super) async fn create(&self, caller: &Caller, new: New) -> Result<PeeringView, ApiError> {
        let network = self.network(caller, Some(new.network)).await?;
        if new.network == new.peer_network {
            let message = "`peer_network` is `network` itself: name another one";
            return Err(ApiError::new(ErrorCode::PeeringConflict, message));
        }
        if !network.has_router {
            let message =
                format!("the router of network {} is not there; ask an operator", network.network);
            return Err(ApiError::new(ErrorCode::LocalNetworkNoRouter, message));
        }
        if caller.viewer.is_operator() {
            self.see_peer(caller, new.peer_network).await?;
        }
        let bytes = secret::random().map_err(|error| ApiError::unavailable(error.to_string()))?;
        // Not one that follows from the names: what is deleted and made anew is something else.
        let uuid = Builder::from_random_bytes(bytes).into_uuid();
        let network = NetworkKey::new(network.project, network.network);
        let half = Half {
            key: HalfKey::new(network.clone(), new.name),
            target: NetworkKey::of_uuid(new.peer_network),
            description: String::new(),
            configured_status: new.configured_status,
            config: new.config,
            requested: None,
            terms: None,
            uuid: Some(uuid),
        };
        let edit = Edit { halves: vec![half], create: true, ..edit(caller, &network) };
        self.stored(caller, edit).await?;
        self.peering(caller, Some(uuid)).await
    }

    /// An operator may know every network, so a slip is named at once.
    async fn see_peer(&self, caller: &Caller, peer: Uuid) -> Result<(), ApiError> {
        match self.networks(caller, Some(peer)).await?.is_empty() {
            false => Ok(()),
            true => {
                let message = "no host binds a network with the UUID of `peer_network`";
                Err(ApiError::new(ErrorCode::PeerNetworkNotFound, message))
            }
        }
    }

    pub(super) async fn change(
        &self,
        caller: &Caller,
        uuid: Option<Uuid>,
        change: &Change,
        if_match: &IfMatch,
    ) -> Result<PeeringView, ApiError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let found = self.peering(caller, uuid).await?;
            if_match.check(&found.etag)?;
            let old = key(&found.half);
            let (former, etag) = self.declared(caller, old.clone()).await?;
            let half = changed(former, change, found.half.uuid);
            let is_renamed = half.key != old;
            let edit = Edit {
                halves: vec![half],
                remove: if is_renamed { vec![old.clone()] } else { Vec::new() },
                rename: is_renamed,
                create: is_renamed,
                if_match: etag,
                ..edit(caller, &old.network)
            };
            match self.store(edit).await? {
                Ok(_) => return self.peering(caller, uuid).await,
                Err(why) => self.try_again(caller, why, attempts)?,
            }
        }
    }

    pub(super) async fn delete(
        &self,
        caller: &Caller,
        uuid: Option<Uuid>,
        if_match: &IfMatch,
    ) -> Result<(), ApiError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let found = self.peering(caller, uuid).await?;
            if_match.check(&found.etag)?;
            if !found.is_disabled {
                return Err(ApiError::new(
                    ErrorCode::PeeringNotDisabled,
                    "the peering is not disabled: set `configured_status` to \"disabled\" first",
                ));
            }
            let key = key(&found.half);
            let (_, etag) = self.declared(caller, key.clone()).await?;
            let edit =
                Edit { remove: vec![key.clone()], if_match: etag, ..edit(caller, &key.network) };
            match self.store(edit).await? {
                Ok(_) => return Ok(()),
                Err(why) => self.try_again(caller, why, attempts)?,
            }
        }
    }

    /// Somebody else was faster: then the check of `If-Match` decides once more.
    fn try_again(&self, caller: &Caller, why: NotStored, attempts: u32) -> Result<(), ApiError> {
        if !matches!(why, NotStored::Changed(_)) {
            return Err(ApiError::not_stored(why, caller.viewer.is_operator()));
        }
        match attempts < ATTEMPTS {
            true => Ok(()),
            false => {
                Err(ApiError::unavailable("others change the peering all the time; ask again"))
            }
        }
    }

    async fn stored(&self, caller: &Caller, edit: Edit) -> Result<(), ApiError> {
        let result = self.store(edit).await?;
        result.map(drop).map_err(|why| ApiError::not_stored(why, caller.viewer.is_operator()))
    }

    /// A half as it is declared, and the tag of what is stored; none of what a file declares, which
    /// the store refuses to change.
    async fn declared(
        &self,
        caller: &Caller,
        key: HalfKey,
    ) -> Result<(Half, Option<String>), ApiError> {
        let detail = self.half(caller, key).await?;
        let text = detail.declaration.ok_or_else(ApiError::no_peering)?;
        let parsed = parse_stored("the peering", text);
        let half = parsed.ok().and_then(|(_, halves, _)| halves.into_iter().next());
        let half = half.ok_or_else(|| {
            ApiError::unavailable("the declaration of the peering cannot be read; ask an operator")
        })?;
        Ok((half, detail.stored.map(|stored| stored.etag)))
    }
}

fn edit(caller: &Caller, network: &NetworkKey) -> Edit {
    Edit::new(Arc::clone(&network.project), caller.actor.0.to_string())
}

fn key(half: &HalfView) -> HalfKey {
    HalfKey::new(NetworkKey::new(&*half.project, &*half.network), &*half.name)
}

/// A half with changes; one with another name keeps its UUID.
fn changed(mut half: Half, change: &Change, uuid: Uuid) -> Half {
    if let Some(name) = change.name.as_ref().filter(|name| **name != *half.key.name) {
        let renamed = HalfKey::new(half.key.network.clone(), name.as_str());
        let former = std::mem::replace(&mut half.key, renamed);
        half.uuid = Some(uuid);
        if let Some(terms) = &mut half.terms {
            for appliance in &mut Arc::make_mut(terms).appliances.list {
                let own = appliance.between.iter_mut().filter(|it| **it == *former.name);
                own.for_each(|it| it.clone_from(name));
                appliance.between.sort();
            }
        }
    }
    if let Some(status) = change.configured_status {
        half.configured_status = status;
    }
    if let Some(config) = &change.config {
        half.config.clone_from(config);
    }
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_is_a_star_or_tags_in_quotes() {
        let parse = |values: &[&str]| {
            let values: Vec<HeaderValue> =
                values.iter().map(|value| HeaderValue::from_str(value).unwrap()).collect();
            IfMatch::parse(&values)
        };
        assert_eq!(parse(&[]).unwrap(), IfMatch::Any);
        assert_eq!(parse(&["*"]).unwrap(), IfMatch::Any);
        let both = parse(&["\"a\", \"b\""]).unwrap();
        assert!(both.check("a").is_ok() && both.check("b").is_ok() && both.check("c").is_err());
        assert!(parse(&["\"a\"", "\"c\""]).unwrap().check("c").is_ok());
        assert!(parse(&["\"x\",W/\"y,z\" , \"a,b\""]).unwrap().check("a,b").is_ok());
        assert!(parse(&["W/\"a\""]).unwrap().check("a").is_err());
        assert!(parse(&[""]).unwrap().check("a").is_err(), "an empty list fits nothing");
        for bad in ["a", "\"a"] {
            assert!(parse(&[bad]).is_err(), "{bad}");
        }
    }
}
