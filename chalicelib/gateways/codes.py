"""One-time codes by time (TOTP, RFC 6238): six digits, a new one every half minute, as all authenticator apps make
them."""

from secrets import compare_digest

from chalicelib.domain.dates import Instant

STEP_SECONDS = 30
DIGITS = 6
# Steps before and after the present one whose codes are taken: clocks of telephones differ, and people type slowly.
STEPS_ASIDE = 1


class TimeCodes:
    def secret(self) -> str:
        from pyotp import random_base32

        return str(random_base32())

    def uri(self, secret: str, login: str, issuer: str) -> str:
        """What an authenticator app reads, as a picture or typed in."""
        from pyotp import TOTP

        return str(TOTP(secret).provisioning_uri(name=login, issuer_name=issuer))

    def step(self, secret: str, code: str, now: Instant) -> int | None:
        """The number of the step whose code this is, of those that are taken now; None where it is of none."""
        from pyotp import TOTP

        typed = code.replace(" ", "")
        if len(typed) != DIGITS or not typed.isascii() or not typed.isdecimal():
            return None
        present, codes = int(now.timestamp()) // STEP_SECONDS, TOTP(secret, digits=DIGITS, interval=STEP_SECONDS)
        steps = range(present - STEPS_ASIDE, present + STEPS_ASIDE + 1)
        return next((step for step in steps if compare_digest(str(codes.generate_otp(step)), typed)), None)
