"""Personal data with valid check digits, from the registries' and the standards' descriptions: kind -> (function, labels). A kind
without labels stands in any sentence; with labels it is written behind one of them, for nothing else says what the digits are."""

import datetime
import hashlib
import re
import string

from formats_secrets import CLASSES, fill
from formats_telephones import PHONES

FIRST = "ann bo carla dmitri elif farid greta hana ines jonas kofi lena marco nadia oskar priya quinn rosa sven tara".split()
LAST = "abel bauer costa dubois eriksen fischer garcia hoang ivanov jensen kim lopez mbeki novak okafor patel rossi".split()


def digits(r, count, first="0123456789"):
    return (r.choice(first) + "".join(r.choices(string.digits, k=count - 1))) if count else ""


def weighted(text, weights):
    return sum(int(d) * w for d, w in zip(text, weights))


def luhn(text):
    """The check digit behind `text`."""
    total = sum(sum(divmod(int(d) * (2 - i % 2), 10)) for i, d in enumerate(reversed(text)))
    return str(-total % 10)


def groups(text, sizes, sign=" "):
    parts, start = [], 0
    for size in sizes:
        parts.append(text[start:start + size])
        start += size
    return sign.join(part for part in parts + [text[start:]] if part)


def until(make):
    """Calls until the register has a check digit for what was drawn."""
    def again(r):
        while (value := make(r)) is None:
            pass
        return value
    return again


def born(r, form, first=1940, last=2004):
    return (datetime.date(first, 1, 1) + datetime.timedelta(days=r.randrange((last - first) * 365))).strftime(form)


# Cards: scheme, prefixes, length, groupings.
CARDS = {
    "visa": (["4"], 16, [4, 4, 4]), "mastercard": (["51", "53", "55"], 16, [4, 4, 4]), "mastercard-2": (["2221", "2500", "2720"], 16, [4, 4, 4]),
    "amex": (["34", "37"], 15, [4, 6]), "discover": (["6011", "65", "644"], 16, [4, 4, 4]), "diners": (["36", "38", "300"], 14, [4, 6]),
    "jcb": (["3528", "3589"], 16, [4, 4, 4]), "unionpay": (["62"], 16, [4, 4, 4]), "unionpay-19": (["62"], 19, [6]),
    "maestro": (["5018", "6304", "6759"], 16, [4, 4, 4]), "maestro-19": (["6759"], 19, [4, 4, 4, 4]), "mir": (["2200", "2204"], 16, [4, 4, 4]),
    "rupay": (["6521", "8172"], 16, [4, 4, 4]), "elo": (["6362", "4514"], 16, [4, 4, 4]), "troy": (["9792"], 16, [4, 4, 4]), "visa-19": (["4"], 19, [4, 4, 4, 4]),
}


def card(scheme, style):
    prefixes, length, sizes = CARDS[scheme]
    def make(r):
        start = r.choice(prefixes)
        text = start + digits(r, length - 1 - len(start))
        text += luhn(text)
        return text if style == "plain" else groups(text, sizes, {"spaces": " ", "dashes": "-"}[style])
    return make


# The structure of the account number behind country and check digits, by the SWIFT registry: n digits, a letters, c both.
IBANS = dict(line.split(":") for line in """
AD:8n12c AE:19n AL:8n16c AT:16n AZ:4a20c BA:16n BE:12n BG:4a6n8c BH:4a14c BI:23n BR:23n1a1c BY:4c4n16c CH:5n12c CR:18n CY:8n16c CZ:20n
DE:18n DJ:23n DK:14n DO:4c20n EE:16n EG:25n ES:20n FI:14n FK:2a12n FO:14n FR:10n11c2n GB:4a14n GE:2a16n GI:4a15c GL:14n GR:7n16c GT:24c
HN:4a20n HR:17n HU:24n IE:4a14n IL:19n IQ:4a15n IS:22n IT:1a10n12c JO:4a4n18c KW:4a22c KZ:3n13c LB:4n20c LC:4a24c LI:5n12c LT:16n LU:3n13c
LV:4a13c LY:21n MC:10n11c2n MD:2c18c ME:18n MK:3n10c2n MN:16n MR:23n MT:4a5n18c MU:4a19n3a NI:4a20n NL:4a10n NO:11n OM:3n16c PK:4a16c PL:24n
PS:4a21c PT:21n QA:4a21c RO:4a16c RS:18n RU:14n15c SA:2n18c SC:4a20n3a SD:14n SE:20n SI:15n SK:20n SM:1a10n12c SO:19n ST:21n SV:4a20n TL:19n
TN:20n TR:6n16c UA:6n19c VA:18n VG:4a16n XK:16n YE:4a4n18c
""".split())


def iban(country, style):
    def make(r):
        classes = {"n": "D", "a": "C", "c": "U"}
        body = "".join(fill(r, "{%s%s}" % (classes[kind], count)) for count, kind in re.findall(r"(\d+)([nac])", IBANS[country]))
        number = int("".join(str(int(ch, 36)) for ch in body + country + "00"))
        text = f"{country}{98 - number % 97:02}{body}"
        return {"plain": text, "groups": groups(text, [4] * 9), "lower": text.lower()}[style]
    return make


def phone(forms):
    choices = forms.split("|")
    def make(r):
        return "".join(r.choice("0123456789") if ch == "#" else r.choice("23456789") if ch == "*" else ch for ch in r.choice(choices))
    return make


def mod11(text, weights, table=None):
    rest = 11 - weighted(text, weights) % 11
    return None if rest == 10 else str(rest % 11)


def behind(body, check):
    return None if check is None else body + check


def nhs(r):
    return behind(body := digits(r, 9, "4679"), mod11(body, range(10, 1, -1)))


def steuer_id(r):
    body = r.sample("0123456789", 10)
    if body[0] == "0":
        return None
    body[r.randrange(1, 10)] = body[0]
    if len(set(body)) != 9:
        return None
    product = 10
    for d in body:
        total = (int(d) + product) % 10 or 10
        product = total * 2 % 11
    return "".join(body) + str((11 - product) % 10)


def perso(r):
    body = r.choice("LMNPRTVWXYCFGHJK") + fill(r, "{D1}") + "".join(r.choices("0123456789CFGHJKLMNPRTVWXYZ", k=7))
    return body + str(sum(int(ch, 36) * w for ch, w in zip(body, [7, 3, 1] * 3)) % 10)


def nir(r):
    body = r.choice("12") + born(r, "%y%m") + f"{r.randint(1, 95):02}" + digits(r, 6)
    return body + f"{97 - int(body) % 97:02}"


DNI = "TRWAGMYFPDXBNJZSQVHLCKE"


def dni(r):
    number = digits(r, 8)
    return number + DNI[int(number) % 23]


def nie(r):
    first, number = r.choice("XYZ"), digits(r, 7)
    return first + number + DNI[int(str("XYZ".index(first)) + number) % 23]


def cif(r):
    body = digits(r, 7)
    even = sum(int(d) for d in body[1::2])
    odd = sum(sum(divmod(2 * int(d), 10)) for d in body[::2])
    return r.choice("ABEFGH") + body + str(-(even + odd) % 10)


def codice_fiscale(r):
    body = fill(r, "{C6}").translate(str.maketrans("AEIOU", "BCDFG")) + born(r, "%y") + r.choice("ABCDEHLMPRST") + f"{r.choice([0, 40]) + r.randint(1, 28):02}" + fill(r, "{C1}{D3}")
    odd = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]))
    total = sum(odd[ch] if i % 2 == 0 else int(ch, 36) - 10 * ch.isalpha() for i, ch in enumerate(body))
    return body + string.ascii_uppercase[total % 26]


def bsn(r):
    body = digits(r, 8, "123456789")
    rest = weighted(body, range(9, 1, -1)) % 11
    return None if rest == 10 else body + str(rest)


def belgian(r):
    body = born(r, "%y%m%d", 1940, 1999) + f"{r.randint(1, 997):03}"
    return body + f"{97 - int(body) % 97:02}"


def pesel(r):
    body = born(r, "%y%m%d", 1940, 1999) + digits(r, 4)
    return body + str(-weighted(body, [1, 3, 7, 9] * 3) % 10)


def nip(r):
    body = digits(r, 9, "123456789")
    rest = weighted(body, [6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11
    return None if rest == 10 else body + str(rest)


def nif(r):
    body = digits(r, 8, "12")
    rest = 11 - weighted(body, range(9, 1, -1)) % 11
    return body + str(rest if rest < 10 else 0)


def personnummer(r):
    body = born(r, "%y%m%d") + digits(r, 3)
    return body[:6] + "-" + body[6:] + luhn(body)


def hetu(r):
    date, number = born(r, "%d%m%y", 1940, 1999), f"{r.randint(2, 899):03}"
    return date + "-" + number + "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(date + number) % 31]


def fodselsnummer(r):
    body = born(r, "%d%m%y") + digits(r, 3)
    for weights in ([3, 7, 6, 1, 8, 9, 4, 5, 2], [5, 4, 3, 2, 7, 6, 5, 4, 3, 2]):
        check = mod11(body, weights)
        if check is None:
            return None
        body += check
    return body


def ahv(r):
    body = "756" + digits(r, 9)
    return groups(body + str(-weighted(body, [1, 3] * 6) % 10), [3, 4, 4], ".")


def svnr(r):
    serial, date = digits(r, 3, "123456789"), born(r, "%d%m%y")
    rest = weighted(serial + date, [3, 7, 9, 5, 8, 4, 2, 1, 6]) % 11
    return None if rest == 10 else f"{serial}{rest} {date}"


def cpf(r):
    body = digits(r, 9)
    for start in (10, 11):
        rest = 11 - weighted(body, range(start, 1, -1)) % 11
        body += str(rest if rest < 10 else 0)
    return f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"


def cnpj(r):
    body = digits(r, 8) + "0001"
    for weights in ([5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2], [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]):
        rest = 11 - weighted(body, weights) % 11
        body += str(rest if rest < 10 else 0)
    return f"{body[:2]}.{body[2:5]}.{body[5:8]}/{body[8:12]}-{body[12:]}"


def curp(r):
    body = fill(r, "{C1}[A E I O U]{C2}") + born(r, "%y%m%d", 1940, 1999) + r.choice("HM") + r.choice("DF JC NL MC PL VZ".split()) + "".join(r.choices("BCDFGHJKLMNPQRSTVWXYZ", k=3)) + fill(r, "{D1}")
    alphabet = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
    return body + str(-sum(alphabet.index(ch) * w for ch, w in zip(body, range(18, 1, -1))) % 10)


def rfc(r):
    return fill(r, "{C1}[A E I O U]{C2}") + born(r, "%y%m%d") + fill(r, "{U2}{D1}")


def cuit(r):
    body = r.choice(["20", "23", "27", "30"]) + digits(r, 8)
    rest = 11 - weighted(body, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11
    return None if rest == 10 else f"{body[:2]}-{body[2:]}-{rest % 11}"


def rut(r):
    body = str(r.randint(5_000_000, 25_000_000))
    rest = 11 - weighted(reversed(body), [2, 3, 4, 5, 6, 7] * 2) % 11
    return f"{int(body):,}".replace(",", ".") + "-" + {10: "K", 11: "0"}.get(rest, str(rest))


D5 = [[(a + b) % 5 if a < 5 and b < 5 else (a + b) % 5 + 5 if a < 5 else (a - b) % 5 + 5 if b < 5 else (a - b) % 5 for b in range(10)] for a in range(10)]


def aadhaar(r):
    """Verhoeff's check digit."""
    body, turn = digits(r, 11, "23456789"), [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]
    for _ in range(7):
        turn.append([turn[-1][d] for d in [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]])
    state = 0
    for place, d in enumerate(reversed(body), 1):
        state = D5[state][turn[place % 8][int(d)]]
    return groups(body + str(D5[state].index(0)), [4, 4])


def tfn(r):
    body = digits(r, 8, "123456789")
    return next((groups(body + str(d), [3, 3]) for d in range(10) if weighted(body + str(d), [1, 4, 3, 7, 5, 8, 6, 9, 10]) % 11 == 0), None)


def abn(r):
    body = digits(r, 9)
    for lead in range(10, 100):
        text = str(lead) + body
        if weighted(str(int(text[0]) - 1) + text[1:], [10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]) % 89 == 0:
            return groups(text, [2, 3, 3])
    return None


def medicare(r):
    body = digits(r, 8, "23456")
    return groups(body + str(weighted(body, [1, 3, 7, 9, 1, 3, 7, 9]) % 10) + "1", [4, 5])


def ird(r):
    body = str(r.randint(10_000_000, 12_999_999))
    rest = -weighted(body, [3, 2, 7, 6, 5, 4, 3, 2]) % 11
    return None if rest == 10 else groups(body + str(rest), [3, 3], "-")


def sin(r):
    body = digits(r, 8, "1234567")
    return groups(body + luhn(body), [3, 3], r.choice(" -"))


def nric(r):
    first, body = r.choice("STFG"), digits(r, 7)
    rest = (weighted(body, [2, 7, 6, 5, 4, 3, 2]) + (4 if first in "TG" else 0)) % 11
    return first + body + ("JZIHGFEDCBA" if first in "ST" else "XWUTRQPNMLK")[rest]


def hkid(r):
    first, body = fill(r, "{C1}"), digits(r, 6)
    rest = -(36 * 9 + (ord(first) - 55) * 8 + weighted(body, range(7, 1, -1))) % 11
    return f"{first}{body}({'A' if rest == 10 else rest})"


def rrn(r):
    body = born(r, "%y%m%d", 1940, 1999) + digits(r, 6, "12")
    return body[:6] + "-" + body[6:] + str((11 - weighted(body, [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11) % 10)


def my_number(r):
    body = digits(r, 11)
    rest = weighted(reversed(body), [2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6]) % 11
    return groups(body + str(0 if rest <= 1 else 11 - rest), [4, 4])


def chinese(r):
    body = r.choice(["110101", "310104", "440305", "330102", "510107"]) + born(r, "%Y%m%d") + digits(r, 3)
    return body + "10X98765432"[sum(int(d) * (2 ** (17 - i) % 11) for i, d in enumerate(body)) % 11]


def south_african(r):
    body = born(r, "%y%m%d") + digits(r, 4) + "08"
    return body + luhn(body)


def israeli(r):
    body = digits(r, 8, "0123")
    total = sum(sum(divmod(int(d) * (1 + i % 2), 10)) for i, d in enumerate(body))
    return body + str(-total % 10)


def tckn(r):
    body = digits(r, 9, "123456789")
    tenth = (7 * sum(map(int, body[::2])) - sum(map(int, body[1::2]))) % 10
    return body + str(tenth) + str((sum(map(int, body)) + tenth) % 10)


def routing(r):
    body = r.choice(["02", "03", "07", "11", "12", "26"]) + digits(r, 6)
    return body + str(-weighted(body, [3, 7, 1, 3, 7, 1, 3, 7]) % 10)


def npi(r):
    body = "1" + digits(r, 8)
    return body + luhn("80840" + body)


def dea(r):
    body = digits(r, 6)
    return fill(r, "[A B F M]{C1}") + body + str(weighted(body, [1, 2] * 3) % 10)


def vin(r):
    letters = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ"
    value = dict(zip(letters, list(range(10)) + [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9]))
    body = r.choice(["1HG", "WBA", "WVW", "JTD", "5YJ", "KMH"]) + "".join(r.choices(letters, k=5)) + "0" + "".join(r.choices(letters, k=2)) + digits(r, 6)
    rest = sum(value[ch] * w for ch, w in zip(body, [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2])) % 11
    return body[:8] + ("X" if rest == 10 else str(rest)) + body[9:]


def imei(r):
    body = "35" + digits(r, 12)
    return body + luhn(body)


BASE58 = CLASSES["S"]


def base58(payload, alphabet=BASE58):
    number, text = int.from_bytes(payload, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = alphabet[rest] + text
    return alphabet[0] * (len(payload) - len(payload.lstrip(b"\0"))) + text


def base58check(*versions, size=20, alphabet=BASE58):
    def make(r):
        payload = bytes([r.choice(versions)]) + r.randbytes(size)
        return base58(payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4], alphabet)
    return make


def bech32(prefix, version, size):
    """BIP 173 and, from version 1 on, BIP 350; without a version Cardano's plain one."""
    def make(r):
        charset, bits = "qpzry9x8gf2tvdw0s3jn54khce6mua7l", "".join(f"{b:08b}" for b in r.randbytes(size))
        data = ([] if version is None else [version]) + [int(bits[i:i + 5].ljust(5, "0"), 2) for i in range(0, len(bits), 5)]
        state = 1
        for value in [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + data + [0] * 6:
            top, state = state >> 25, (state & 0x1FFFFFF) << 5 ^ value
            for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
                state ^= generator if top >> bit & 1 else 0
        state ^= 0x2BC830A3 if version else 1
        return prefix + "1" + "".join(charset[v] for v in data + [state >> 5 * (5 - i) & 31 for i in range(6)])
    return make


def ipv4(r):
    return ".".join(str(r.choice([8, 34, 52, 81, 95, 103, 151, 185, 203]) if i == 0 else r.randint(1, 254)) for i in range(4))


def ipv6(r):
    full = ["2a02"] + [fill(r, "{H4}") for _ in range(7)]
    return r.choice([":".join(full), ":".join(full[:4]) + "::" + full[7], "2001:67c:" + full[1] + "::" + full[2], "fe80::" + ":".join(full[4:])])


def mac(sign):
    def make(r):
        text = r.choice([fill(r, "{H12}"), fill(r, "{X12}")])
        return groups(text, [4, 4], ".") if sign == "." else groups(text, [2] * 5, sign)
    return make


def email(form):
    def make(r):
        return form.format(f=r.choice(FIRST), l=r.choice(LAST), n=r.randint(1, 99), h=r.choice(["orders", "klinik", "uni-bonn", "mail"]),
                           t=r.choice("com de fr co.uk io org net com.br ac.jp se info".split()))
    return make


def simple(form):
    return lambda r: fill(r, form)


PERSONAL = {
    "email/plain": (email("{f}.{l}@{h}.{t}"), None), "email/plus": (email("{f}+shop{n}@gmail.com"), None),
    "email/subdomain": (email("{f}{n}@mx.{h}.{t}"), None), "email/underscore": (email("{f}_{l}-{n}@{h}.{t}"), None),
    "email/upper": (lambda r: email("{f}.{l}@{h}.{t}")(r).upper(), None), "email/angle": (email("{f}@{h}.{t}"), ["Ann Abel <"]),
    "email/mailto": (email("{f}.{l}@{h}.{t}"), ["mailto:", "[write](mailto:"]), "email/short": (email("{f}@{h}.{t}"), None),
    "email/apostrophe": (email("o'{l}@{h}.{t}"), None), "email/long-tld": (email("{f}@{l}.photography"), None),
    **{f"card/{scheme}-{style}": (card(scheme, style), None) for scheme in CARDS for style in ("plain", "spaces", "dashes")},
    **{f"iban/{country.lower()}-{style}": (iban(country, style), None) for country in IBANS for style in ("plain", "groups", "lower")},
    **{f"phone/{name}-international": (phone(forms[0]), None) for name, forms in PHONES.items()},
    **{f"phone/{name}-labelled": (phone(forms[1]), ["Tel.: ", "Phone: ", "call me at ", "mobile ", "telefon: ", "my number is "]) for name, forms in PHONES.items() if forms[1]},
    **{f"phone-bare/{name}": (phone(forms[1]), None) for name, forms in PHONES.items() if forms[1]},
    "net/ipv4": (ipv4, None), "net/ipv4-port": (lambda r: ipv4(r) + f":{r.randint(80, 9000)}", None), "net/ipv6": (ipv6, None),
    "net/mac-colon": (mac(":"), None), "net/mac-dash": (mac("-"), None), "net/mac-dot": (mac("."), None),
    "us/ssn": (lambda r: f"{r.randint(100, 665)}-{r.randint(10, 99)}-{r.randint(1000, 9999)}", None),
    "us/ssn-spaces": (lambda r: f"{r.randint(100, 665)} {r.randint(10, 99)} {r.randint(1000, 9999)}", ["SSN: ", "social security number "]),
    "us/ssn-plain": (lambda r: f"{r.randint(100, 665)}{r.randint(10, 99)}{r.randint(1000, 9999)}", ["SSN: ", "ssn=", "Social Security Number: "]),
    "us/itin": (lambda r: f"9{r.randint(10, 99)}-{r.randint(70, 88)}-{r.randint(1000, 9999)}", ["ITIN: ", "ITIN "]),
    "us/ein": (lambda r: f"{r.choice([12, 27, 45, 83])}-{r.randint(1000000, 9999999)}", ["EIN: ", "Employer Identification Number "]),
    "us/routing": (routing, ["routing number: ", "ABA routing ", "RTN "]), "us/account": (lambda r: digits(r, 10), ["account number: ", "bank account no. "]),
    "us/medicare-mbi": (lambda r: fill(r, "[1 4 9][A E K T]{D1}{D1}-[C F W]{D1}{D1}-[G H T][M N]{D2}"), ["MBI: ", "Medicare number "]),
    "us/npi": (npi, ["NPI: ", "NPI number "]), "us/dea": (dea, ["DEA number: "]),
    "gb/nhs": (until(nhs), ["NHS number: ", "NHS no. "]), "gb/nhs-spaces": (lambda r: groups(until(nhs)(r), [3, 3]), ["NHS number: ", "NHS "]),
    "gb/nhs-bare": (lambda r: groups(until(nhs)(r), [3, 3]), None),
    "gb/nino": (simple("[AB CE JR PW SK][12 54 77]{D4}[A B C D]"), None), "gb/nino-spaces": (lambda r: groups(fill(r, "[AB CE JR PW SK]{D6}[A B C D]"), [2, 2, 2, 2]), ["National Insurance number: ", "NI number "]),
    "gb/utr": (lambda r: digits(r, 10, "123456789"), ["UTR: ", "Unique Taxpayer Reference "]),
    "gb/sort-code": (lambda r: groups(digits(r, 6, "123456"), [2, 2], "-"), ["sort code: ", "Sort Code "]), "gb/account": (lambda r: digits(r, 8), ["account number: ", "Account No: "]),
    "gb/driving": (lambda r: fill(r, "{C5}{D1}0{D1}1{D1}{D1}{C2}9{C2}"), ["driving licence: ", "driver number "]),
    "de/steuer-id": (until(steuer_id), ["Steuer-ID: ", "Steueridentifikationsnummer ", "IdNr. "]), "de/steuer-id-groups": (lambda r: groups(until(steuer_id)(r), [2, 3, 3]), ["Steuer-ID: ", "steuerliche Identifikationsnummer: "]),
    "de/personalausweis": (perso, ["Personalausweis: ", "Ausweisnummer ", "Personalausweisnummer: "]), "de/rvnr": (simple("{D2}{D2}0{D1}7{D1}[B M S]{D3}"), ["Rentenversicherungsnummer: ", "Sozialversicherungsnummer "]),
    "de/ust": (lambda r: "DE" + digits(r, 9, "12"), ["USt-IdNr.: ", "VAT "]),
    "fr/nir": (nir, ["NIR : ", "numéro de sécurité sociale "]), "fr/nir-groups": (lambda r: groups(nir(r), [1, 2, 2, 2, 3, 3]), None), "fr/siren": (lambda r: (b := digits(r, 8)) + luhn(b), ["SIREN : ", "SIREN "]),
    "es/dni": (dni, ["DNI: ", "DNI ", "NIF: "]), "id-bare/dni": (dni, None), "es/dni-dash": (lambda r: (t := dni(r))[:8] + "-" + t[8], ["DNI: ", "DNI "]), "es/nie": (nie, None), "es/cif": (cif, ["CIF: ", "NIF "]),
    "it/codice-fiscale": (codice_fiscale, None), "it/codice-fiscale-lower": (lambda r: codice_fiscale(r).lower(), ["codice fiscale: "]), "it/partita-iva": (lambda r: (b := digits(r, 10)) + luhn(b), ["partita IVA: ", "P.IVA "]),
    "nl/bsn": (until(bsn), ["BSN: ", "burgerservicenummer "]), "be/nrn": (lambda r: re.sub(r"(..)(..)(..)(...)(..)", r"\1.\2.\3-\4.\5", belgian(r)), None), "be/nrn-plain": (belgian, ["rijksregisternummer: ", "numéro national : "]),
    "pl/pesel": (pesel, ["PESEL: ", "PESEL "]), "pl/nip": (lambda r: groups(until(nip)(r), [3, 3, 2], "-"), ["NIP: ", "NIP "]), "pt/nif": (nif, ["NIF: ", "contribuinte "]),
    "se/personnummer": (personnummer, ["personnummer: ", "personnr "]), "fi/hetu": (hetu, ["henkilötunnus: ", "HETU ", "hetu: "]), "id-bare/hetu": (hetu, None), "no/fodselsnummer": (until(fodselsnummer), ["fødselsnummer: ", "fødselsnr "]),
    "dk/cpr": (lambda r: born(r, "%d%m%y") + "-" + digits(r, 4), ["CPR: ", "CPR-nummer "]), "ch/ahv": (ahv, None), "at/svnr": (until(svnr), ["SVNR: ", "Sozialversicherungsnummer "]),
    "br/cpf": (cpf, None), "br/cpf-plain": (lambda r: re.sub(r"\D", "", cpf(r)), ["CPF: ", "CPF "]), "br/cnpj": (cnpj, None),
    "mx/curp": (curp, None), "mx/rfc": (rfc, ["RFC: ", "RFC "]), "ar/cuit": (until(cuit), None), "ar/dni": (lambda r: f"{r.randint(20, 45)}.{r.randint(100, 999)}.{r.randint(100, 999)}", ["DNI: ", "D.N.I. "]), "cl/rut": (rut, None),
    "in/aadhaar": (aadhaar, ["Aadhaar: ", "Aadhaar number "]), "id-bare/aadhaar": (aadhaar, None), "in/aadhaar-plain": (lambda r: aadhaar(r).replace(" ", ""), ["Aadhaar: ", "UIDAI number "]), "in/pan": (simple("{C3}P{C1}{D4}{C1}"), None), "in/gstin": (simple("[07 27 29]{C3}P{C1}{D4}{C1}1Z{U1}"), ["GSTIN: "]),
    "au/tfn": (until(tfn), ["TFN: ", "tax file number "]), "au/abn": (until(abn), ["ABN: ", "ABN "]), "au/medicare": (medicare, ["Medicare: ", "Medicare card "]),
    "nz/ird": (until(ird), ["IRD: ", "IRD number "]), "ca/sin": (sin, ["SIN: ", "social insurance number "]), "sg/nric": (nric, None), "hk/id": (hkid, None),
    "kr/rrn": (rrn, None), "jp/my-number": (my_number, ["マイナンバー: ", "My Number: ", "個人番号 "]), "cn/resident-id": (chinese, ["身份证号: ", "身份证号码：", "resident ID "]), "id-bare/cn": (chinese, None), "za/id": (south_african, ["ID number: ", "South African ID "]),
    "il/id": (israeli, ["Teudat Zehut: ", "ת.ז. "]), "tr/tckn": (tckn, ["TCKN: ", "T.C. Kimlik No: ", "TC Kimlik "]),
    "id/passport-us": (simple("{C1}{D8}"), ["passport: ", "Passport No. ", "passport number is "]), "id/passport-gb": (lambda r: digits(r, 9), ["passport number: ", "UK passport "]),
    "id/passport-de": (lambda r: "C" + "".join(r.choices("CFGHJKLMNPRTVWXYZ0123456789", k=7)) + fill(r, "{D1}"), ["Reisepass: ", "Reisepassnummer "]), "id/passport-fr": (simple("{D2}{C2}{D5}"), ["passeport : ", "passeport n° "]), "id/passport-in": (simple("[K M P Z]{D7}"), ["passport no: "]),
    "id/passport-es": (simple("{C3}{D6}"), ["pasaporte: ", "pasaporte n.º "]), "id/license-ca": (simple("{C1}{D7}"), ["driver's license: ", "DL#: ", "driver license number "]), "id/license-ny": (lambda r: groups(digits(r, 9), [3, 3]), ["driver's license: ", "NY driver license "]),
    "id/license-fl": (simple("{C1}{D3}-{D3}-{D2}-{D3}-0"), ["driver's license: ", "Florida DL: "]), "id/license-de": (simple("{C1}{D3}{U5}{D2}"), ["Führerschein: ", "Führerscheinnummer "]),
    "id/vin": (vin, ["VIN: ", "VIN ", "chassis number "]), "id/imei": (imei, ["IMEI: ", "IMEI "]), "id/dob": (lambda r: born(r, r.choice(["%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y", "%B %d, %Y", "%m/%d/%Y", "%d %b %Y"])), ["DOB: ", "date of birth: ", "Geburtsdatum: ", "date de naissance: ", "birthday: "]),
    "bank/bic": (simple("[DEUT BNPA CHAS COBA INGB][DE FR US NL]{U2}XXX"), ["BIC: ", "SWIFT: ", "SWIFT/BIC "]), "bank/bic-8": (simple("[DEUT BNPA CHAS COBA INGB][DE FR US NL]{U2}"), ["BIC: ", "SWIFT code: "]),
    "wallet/btc-p2pkh": (base58check(0), None), "wallet/btc-p2sh": (base58check(5), None), "wallet/btc-bech32": (bech32("bc", 0, 20), None), "wallet/btc-p2wsh": (bech32("bc", 0, 32), None),
    "wallet/btc-taproot": (bech32("bc", 1, 32), None), "wallet/btc-upper": (lambda r: bech32("bc", 0, 20)(r).upper(), None), "wallet/btc-test": (bech32("tb", 0, 20), None),
    "wallet/eth": (simple("0x{H40}"), None), "wallet/eth-mixed": (lambda r: "0x" + "".join(r.choice([c, c.upper()]) for c in fill(r, "{H40}")), None),
    "wallet/ltc": (base58check(0x30), None), "wallet/ltc-m": (base58check(0x32), None), "wallet/ltc-bech32": (bech32("ltc", 0, 20), None), "wallet/doge": (base58check(0x1E), None), "wallet/dash": (base58check(0x4C), None),
    "wallet/tron": (base58check(0x41), None), "wallet/xrp": (base58check(0, alphabet="rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"), ["XRP: ", "XRP address "]),
    "wallet/sol": (lambda r: base58(r.randbytes(32)), ["Solana wallet: ", "SOL address ", "solana address: "]), "wallet/ada": (bech32("addr", None, 57), None), "wallet/xmr": (simple("4[0 4 8 A B]{S93}"), None),
    "wallet/cosmos": (bech32("cosmos", None, 20), None), "wallet/stellar": (simple("G{T55}"), ["Stellar: ", "XLM address "]), "wallet/polkadot": (simple("1{S46}"), ["Polkadot address: ", "DOT address "]), "wallet/bch": (lambda r: "bitcoincash:q" + fill(r, "{Q41}").lower(), None),
}
