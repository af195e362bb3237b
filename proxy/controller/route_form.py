"""From routes to the form that workers read. Pure."""

import re
from collections.abc import Sequence

from proxy.controller.pool_form import retry_form
from proxy.ipc.routing import (
    BackendForm,
    ConditionForm,
    CorsForm,
    DirectForm,
    FaultInjectionForm,
    HeaderEditsForm,
    MirrorForm,
    PathRewriteForm,
    PersistenceForm,
    RedirectForm,
    RewriteForm,
    RouteMatchForm,
    RouteRuleForm,
    RoutingForm,
)
from proxy.mesh.traffic.retries import DEFAULT_RETRIES
from proxy.mesh.traffic.routing import (
    NO_EDITS,
    Backend,
    Condition,
    Cors,
    HeaderEdits,
    Op,
    Part,
    PathRewrite,
    Persistence,
    Redirect,
    Rewrite,
    RouteMatch,
    RouteRule,
    Routing,
)

_special = re.compile(r"[^A-Za-z0-9/_~%&=,:@!-]").split
"""At what may stand for something else in a regular expression."""


def routing_form(routing: Routing) -> RoutingForm:
    """All of one frontend's."""
    matches = [_match(each) for each in routing.matches]
    rules = [_rule(each, routing.matches, index) for index, each in enumerate(routing.rules)]
    return RoutingForm(matches=matches, rules=rules)


def _match(match: RouteMatch) -> RouteMatchForm:
    return RouteMatchForm(rule=match.rule, conditions=[_condition(each) for each in match.conditions])


def _condition(found: Condition) -> ConditionForm:
    return ConditionForm(
        part=found.part.value,
        op=found.op.value,
        text=found.text,
        name=found.name,
        negated=found.negated,
        fold=found.fold,
    )


def _rule(rule: RouteRule, matches: Sequence[RouteMatch], index: int) -> RouteRuleForm:
    form = RouteRuleForm(name=rule.name, backends=[_backend(each) for each in rule.backends])
    if rule.retries != DEFAULT_RETRIES:
        form["retry"] = retry_form(rule.retries)
    if rule.redirect:
        form["redirect"] = _redirect(rule.redirect)
    if direct := rule.direct:
        form["direct"] = DirectForm(
            status=direct.status, body=direct.body, grpc_status=direct.grpc_status, details=direct.details
        )
    if rule.request != NO_EDITS:
        form["request"] = _edits(rule.request)
    if rule.response != NO_EDITS:
        form["response"] = _edits(rule.response)
    if rule.rewrite:
        form["rewrite"] = _rewrite(rule.rewrite)
    if kept := rule.persistence:
        own = [each.conditions for each in matches if each.rule == index]
        form["persistence"] = _persistence(kept, sorted(set(map(_begins, own))))
    return _put_effects(form, rule)


def _put_effects(form: RouteRuleForm, rule: RouteRule) -> RouteRuleForm:
    """What is done beside sending it on."""
    if rule.mirrors:
        form["mirrors"] = [
            MirrorForm(cluster=each.cluster, numerator=each.numerator, denominator=each.denominator)
            for each in rule.mirrors
        ]
    if rule.cors:
        form["cors"] = _cors(rule.cors)
    if fault := rule.fault:
        form["fault"] = FaultInjectionForm(
            delay_ms=fault.delay_ms,
            delay_ppm=fault.delay_ppm,
            abort_status=fault.abort_status,
            abort_grpc=fault.abort_grpc,
            abort_ppm=fault.abort_ppm,
        )
    return form


def _persistence(kept: Persistence, paths: list[str]) -> PersistenceForm:
    return PersistenceForm(
        name=kept.name,
        header=kept.header,
        lifetime_s=kept.lifetime_s,
        absolute_s=kept.absolute_s,
        idle_s=kept.idle_s,
        paths=paths,
    )


def _begins(conditions: Sequence[Condition]) -> str:
    """The path that all lie below which a match is for; where there is more behind it than the end of a segment, that
    of the segments before (GEP-1619: the longest prefix that is no regular expression)."""
    path = next((each for each in conditions if each.part is Part.PATH and not each.negated), None)
    if path is None or path.op is Op.IS_THERE:
        return "/"
    whole = path.op in (Op.IS, Op.SEGMENTS) and not path.fold and ";" not in path.text
    plain = path.text if path.op is not Op.LIKE else _special(path.text)[0]
    return plain if whole else plain.partition(";")[0].rpartition("/")[0] or "/"


def _backend(backend: Backend) -> BackendForm:
    form = BackendForm(cluster=backend.cluster, weight=backend.weight, status=backend.status)
    if backend.request != NO_EDITS:
        form["request"] = _edits(backend.request)
    if backend.response != NO_EDITS:
        form["response"] = _edits(backend.response)
    if backend.rewrite:
        form["rewrite"] = _rewrite(backend.rewrite)
    if backend.redirect:
        form["redirect"] = _redirect(backend.redirect)
    return form


def _edits(edits: HeaderEdits) -> HeaderEditsForm:
    form = HeaderEditsForm()
    if edits.set:
        form["set"] = [(name.encode(), value.encode()) for name, value in edits.set]
    if edits.add:
        form["add"] = [(name.encode(), value.encode()) for name, value in edits.add]
    if edits.remove:
        form["remove"] = [name.encode() for name in edits.remove]
    return form


def _rewrite(rewrite: Rewrite) -> RewriteForm:
    form = RewriteForm()
    if rewrite.host:
        form["host"] = rewrite.host
    if rewrite.path:
        form["path"] = _path(rewrite.path)
    return form


def _path(path: PathRewrite) -> PathRewriteForm:
    return PathRewriteForm(op=path.op.value, text=path.text, matched=path.matched)


def _redirect(redirect: Redirect) -> RedirectForm:
    return RedirectForm(
        status=redirect.status,
        scheme=redirect.scheme,
        host=redirect.host,
        port=redirect.port,
        path=_path(redirect.path) if redirect.path else None,
        own_port=redirect.own_port,
        own_scheme=redirect.own_scheme,
    )


def _cors(cors: Cors) -> CorsForm:
    return CorsForm(
        exact=list(cors.origins.exact),
        like=list(cors.origins.like),
        methods=list(cors.methods),
        headers=list(cors.headers),
        expose=list(cors.expose),
        credentials=cors.credentials,
        max_age_s=cors.max_age_s,
        forward_unmatched=cors.forward_unmatched,
    )
