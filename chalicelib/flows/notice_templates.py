"""The merchant's own texts of notices: shown beside the defaults, tried before they are kept, previewed, sent to the
shop itself."""

from typing import Any, get_args

from msgspec.structs import replace

from chalicelib.domain import notices, wire
from chalicelib.domain.drafts import changed
from chalicelib.domain.errors import Contended, Invalid, NotFound, Refused, Stale
from chalicelib.domain.events import Template
from chalicelib.domain.letters import Letter
from chalicelib.domain.mails import Addressee, SentMail, sample_mail, waiting_name, why_not
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.notices import NoticeDraft, NoticePreview, NoticeTemplate, NoticeTemplateView
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.flows import notify
from chalicelib.flows.ports import Kept, Shop
from chalicelib.flows.sweep import DELIVER_QUEUE

TEMPLATES: tuple[Template, ...] = get_args(Template)
# A change that met a faster writer is laid over what stands now.
MOST_TRIES = 5
# Whoever words a mail sends himself one after each change, not one a second.
TESTS_PER_HOUR = 30


def all_of_them(shop: Shop) -> list[NoticeTemplateView]:
    """Every notice with its subject; the longer texts are read one by one."""
    own = {kept.template: kept for kept in shop.notice_templates.get_many(list(TEMPLATES))}
    views = [_view(shop, template, own.get(template)) for template in TEMPLATES]
    return [replace(view, text=None, html=None, variables=None) for view in views]


def get(shop: Shop, name: str) -> tuple[NoticeTemplateView, int]:
    """One notice and its version, 0 where it has no texts of the merchant's. Raises NotFound."""
    template = _known(name)
    kept = shop.notice_templates.find(template)
    return _view(shop, template, kept.noun if kept else None), kept.version if kept else 0


def change(shop: Shop, name: str, raw: Any, *, version: int | None = None) -> tuple[NoticeTemplateView, int]:
    """Keep texts of the merchant's own: only those named change. What changes nothing writes nothing.

    Raises NotFound, Stale, and Invalid with all problems, each with the line of the template.
    """
    template = _known(name)
    for _ in range(MOST_TRIES):
        kept = shop.notice_templates.find(template)
        before = _at(kept, version) or NoticeTemplate(template=template)
        after = changed(before, raw, moving=("modified_dts",))
        _refuse(shop, template, after)
        if after == before:
            return get(shop, name)
        after = replace(after, modified_dts=shop.clock.now())
        shelf = shop.notice_templates
        try:
            shop.write(shelf.replaced(template, after, kept.version) if kept else shelf.inserted(template, after))
        except Refused:
            continue
        return _view(shop, template, after), kept.version + 1 if kept else 1
    raise Contended("the template is being changed by others; try again")


def restore(shop: Shop, name: str, *, version: int | None = None) -> NoticeTemplateView:
    """Back to the default texts, whether there are others or not. Raises NotFound, Stale."""
    template = _known(name)
    for _ in range(MOST_TRIES):
        kept = shop.notice_templates.find(template)
        _at(kept, version)
        if kept is None:
            return _view(shop, template, None)
        try:
            shop.write(shop.notice_templates.removed(template, kept.version))
        except Refused:
            continue
        return _view(shop, template, None)
    raise Contended("the template is being changed by others; try again")


def preview(shop: Shop, name: str, raw: Any) -> NoticePreview:
    """The mail that these texts make, of a noun that is named or of invented people. Nothing is kept or sent.

    Raises NotFound, and Invalid where a text cannot be laid out, or there is nothing to tell of that noun.
    """
    template = _known(name)
    draft = wire.noun(raw, NoticeDraft)
    kept = notify.own_texts(shop, template) or NoticeTemplate(template=template)
    said = {part: value for part in ("subject", "text", "html") if (value := getattr(draft, part)) is not None}
    own = replace(kept, **said)
    _refuse(shop, template, own)
    composed = shop.mail.compose(_letter(shop, template, draft), own)
    if composed.failure:
        raise Invalid.one("", "template", composed.failure)
    return NoticePreview(subject=composed.subject, text=composed.text, html=composed.html)


def send_test(shop: Shop, name: str) -> SentMail:
    """One mail of invented people to the shop's own address, and to no other: whoever has a key could else send
    anything to anybody in the shop's name. Raises NotFound, TooMany, and Invalid where the shop has no address."""
    template, now = _known(name), shop.clock.now()
    merchant = shop.configuration.section(Merchant).noun
    mail = sample_mail(template, merchant, shop.word(), now)
    if reason := why_not("held", mail.email, Addressee(), merchant, AutoOrderProcessing()):
        raise Invalid.one("", "no_address", f"{reason}; set it in the merchant section")
    shop.limits.take("notice_test", TESTS_PER_HOUR, 3600, now)
    shop.write(shop.mails.planned(mail))
    shop.queue.send(DELIVER_QUEUE, [{"merchant_id": shop.merchant_id, "subject": waiting_name(mail)}])
    return mail


# --- inside -----------------------------------------------------------------------------------------------------------


def _known(name: str) -> Template:
    for template in TEMPLATES:
        if template == name:
            return template
    raise NotFound("notice template", name)


def _at(kept: Kept[NoticeTemplate] | None, version: int | None) -> NoticeTemplate | None:
    stands = kept.version if kept else 0
    if version is not None and version != stands:
        raise Stale(f"The template is at version {stands} now.")
    return kept.noun if kept else None


def _refuse(shop: Shop, template: Template, own: NoticeTemplate) -> None:
    problems = shop.mail.problems(own, notices.samples(template, shop.configuration.section(Merchant).noun))
    if problems:
        raise Invalid(problems)


def _view(shop: Shop, template: Template, own: NoticeTemplate | None) -> NoticeTemplateView:
    title, description = notices.TITLES[template]
    default = shop.mail.default(template)
    texts = {part: _or(getattr(own, part, None), getattr(default, part)) for part in ("subject", "text", "html")}
    return NoticeTemplateView(
        template=template,
        title=title,
        description=description,
        recipient=notices.recipient_of(template),
        edited=own is not None,
        modified_dts=own.modified_dts if own else None,
        variables=list(notices.variables(template)),
        **texts,
    )


def _or(own: str | None, default: str) -> str:
    return default if own is None else own


def _letter(shop: Shop, template: Template, draft: NoticeDraft) -> Letter:
    merchant = shop.configuration.section(Merchant).noun
    if draft.order_id is None and draft.auto_order_oid is None:
        return notices.samples(template, merchant)[0]
    if draft.order_id is not None and draft.auto_order_oid is not None:
        raise Invalid.one("/auto_order_oid", "conflict", "name an order or an auto order, not both")
    kind, name = ("order", draft.order_id) if draft.order_id is not None else ("auto_order", str(draft.auto_order_oid))
    pointer = "/order_id" if draft.order_id is not None else "/auto_order_oid"
    about = notify.read_about(shop, kind, name or "")
    if about is None:
        raise Invalid.one(pointer, "unknown", f"there is no {kind.replace('_', ' ')} {name}")
    mail = SentMail(
        mail_id="", about=f"{kind}#{name}", template=template, email="", created_dts=shop.clock.now(), facts={}
    )
    settings = shop.configuration.section(AutoOrderProcessing).noun
    letter = notify.letter_of(shop, mail, about, merchant, settings)
    if letter is None:
        raise Invalid.one(pointer, "nothing_to_tell", "there is nothing of it that this notice would tell now")
    return letter
