"""Notice templates over HTTP: the texts of every mail, the merchant's own beside the defaults.

A PUT changes the texts that it names, and only where they can be laid out; a DELETE brings the default back. A preview
sends nothing; a test mail goes to the shop's own address and to no other.
"""

from typing import Any

from chalice.app import Response

from chalicelib.domain.errors import NotAllowed
from chalicelib.domain.notices import NoticeDraft, NoticePreview, NoticeTemplate, NoticeTemplateView
from chalicelib.domain.wire import whole
from chalicelib.flows import notice_templates
from chalicelib.handlers.configuration import READ, WRITE
from chalicelib.handlers.http import CSRF_FIELD, SESSION, Ask, Door, one

door = Door("notices")

ALL = "/configuration/notice_templates"
ONE = ALL + "/{template}"
NAME = "notice_template"
# A mail is looked at as in a mailbox: its own styles and its pictures, no script, no form, no way to the page, and
# nobody is told where it was opened.
AS_A_MAIL = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data: https:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def _answer(ask: Ask, view: NoticeTemplateView, version: int) -> dict[str, Any]:
    ask.etag(version)
    return one(NAME, whole(view, ask.form))


@door("GET", ALL, READ, summary="Retrieve every notice and its subject", gives=list[NoticeTemplateView])
def get_notice_templates(ask: Ask) -> dict[str, Any]:
    return one("notice_templates", [whole(view, ask.form) for view in notice_templates.all_of_them(ask.shop)])


@door("GET", ONE, READ, summary="Retrieve the texts of a notice and what they can show", gives=NoticeTemplateView)
def get_notice_template(ask: Ask, template: str) -> dict[str, Any]:
    return _answer(ask, *notice_templates.get(ask.shop, template))


@door(
    "PUT",
    ONE,
    WRITE,
    summary="Change texts of a notice; what cannot be laid out is refused with its line",
    takes=NoticeTemplate,
    gives=NoticeTemplateView,
)
def update_notice_template(ask: Ask, template: str) -> dict[str, Any]:
    return _answer(ask, *notice_templates.change(ask.shop, template, ask.raw(), version=ask.if_match()))


@door("DELETE", ONE, WRITE, summary="Back to the default texts of a notice", gives=NoticeTemplateView)
def restore_notice_template(ask: Ask, template: str) -> dict[str, Any]:
    return _answer(ask, notice_templates.restore(ask.shop, template, version=ask.if_match()), 0)


@door(
    "POST",
    ONE + "/preview",
    READ,
    summary="The mail that texts make of an order, an auto order or invented people; nothing is kept or sent",
    takes=NoticeDraft,
    gives=NoticePreview,
)
def preview_notice_template(ask: Ask, template: str) -> dict[str, Any]:
    raw = ask.raw() if ask.has_body() else {}
    return one("preview", whole(notice_templates.preview(ask.shop, template, raw), ask.form))


@door(
    "POST",
    "/admin/mails/{template}",
    SESSION,
    summary="The mail of a preview as who gets it sees it: a form's texts as a document that can do nothing",
    base="",
)
def show_notice(ask: Ask, template: str) -> Response:
    """What is typed is shown too, so it comes as a form that opens another window. Raises NotAllowed to who may not
    look at the configuration."""
    if not ask.signed_in.allows(READ):
        raise NotAllowed(f"You do not have the permission that this needs ({READ}).")
    said = {name: text for name, text in ask.fields().items() if name != CSRF_FIELD}
    ask.headers_out |= AS_A_MAIL
    found = notice_templates.preview(ask.shop, template, said)
    return Response(body=found.html or "", status_code=200, headers={"Content-Type": "text/html; charset=UTF-8"})


@door("POST", ONE + "/test", WRITE, summary="Send one mail of invented people to the shop's own address")
def send_test_notice(ask: Ask, template: str) -> dict[str, Any]:
    mail = notice_templates.send_test(ask.shop, template)
    return one("test_mail", {"message_id": mail.mail_id, "email": mail.email})
