"""The merchant's users: permissions and the scopes that they open, logins in one form, passwords that hold."""

import pytest

from chalicelib.domain.access import RESOURCES
from chalicelib.domain.errors import Invalid
from chalicelib.domain.users import (
    ALL_SCOPES,
    LONGEST_PASSWORD_BYTES,
    PERMISSIONS,
    Permission,
    User,
    check_password,
    chosen,
    login_key,
    shown_user,
)


def with_permissions(*names: str) -> User:
    return User(login="olga", permissions=[Permission(permission_name=name, selected=True) for name in names])


def test_every_scope_is_opened_by_some_permission_and_who_edits_may_view() -> None:
    assert {f"{resource}_{way}" for resource in RESOURCES for way in ("read", "write")} == ALL_SCOPES
    for name, (group, scopes) in PERMISSIONS.items():
        assert group
        assert all(scope.replace("_write", "_read") in scopes for scope in scopes), name


def test_a_user_may_what_is_selected_and_an_owner_everything() -> None:
    assert with_permissions("Edit Items", "View Orders").scopes() == {"item_read", "item_write", "order_read"}
    unselected = User(permissions=[Permission(permission_name="Edit Items", selected=False)])
    assert unselected.scopes() == frozenset()
    assert User(owner=True).scopes() == ALL_SCOPES


def test_a_permission_that_there_is_no_more_opens_nothing() -> None:
    assert with_permissions("Send Faxes", "View Items").scopes() == {"item_read"}


def test_a_form_gets_every_permission_selected_or_not_and_no_password() -> None:
    shown = shown_user(with_permissions("View Items"))
    assert [(p.permission_name, p.selected) for p in shown.permissions or []] == [
        (name, name == "View Items") for name in PERMISSIONS
    ]
    assert all(p.selected for p in shown_user(User(owner=True)).permissions or [])


def test_a_name_that_is_no_permission_is_refused_with_those_that_are() -> None:
    with pytest.raises(Invalid) as refused:
        chosen([Permission(permission_name="View Items"), Permission(permission_name="View Everything", selected=True)])
    assert [problem.pointer for problem in refused.value.problems] == ["/permissions/1/permission_Name"]
    assert "Edit Auto Orders" in refused.value.problems[0].message


def test_case_and_width_of_a_login_say_nothing() -> None:
    assert login_key(" Olga@Example.COM ") == login_key("ｏｌｇａ@example.com") == "olga@example.com"


@pytest.mark.parametrize(
    "password",
    ["elevenchars", "a" * 40, "PASSWORD-2027!", "letmein letmein", "0123 4567 8910", "admin?welcome?", "I am olga k."],
)
def test_what_anybody_would_try_first_is_no_password(password: str) -> None:
    with pytest.raises(Invalid):
        check_password(password, User(login="olga", full_name="Kim"), "/password")


def test_a_password_is_long_and_else_as_one_likes() -> None:
    for password in ("correct horse battery", "Tr0ub4dor&3xyz", "ключ под ковриком", "x9$" * 4 + "abk"):
        check_password(password, User(login="olga"), "/password")
    with pytest.raises(Invalid, match="bytes at most"):
        check_password("ä1xyzq" * LONGEST_PASSWORD_BYTES, User(login="olga"), "/password")
