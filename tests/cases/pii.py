"""Personal data and what only looks like it: the table that says what each rule takes.

A row is a text, a kind, and whether a finding of that kind is expected. In the text the value
stands between « and », which are taken out; a row without them expects no finding of the kind.
All numbers are specimens from public documents or made up to pass their check.
"""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """A text, what is looked for, whether it should be found, and where."""

    text: str
    kind: str
    should_flag: bool
    value: str


def _case(marked: str, kind: str) -> Case:
    before, found, rest = marked.partition("«")
    value, _, after = rest.partition("»")
    return Case(before + value + after, kind, bool(found), value)


# fmt: off
_ROWS = (
    # Cards: every network, any grouping; Luhn decides.
    ("My card is «4111 1111 1111 1111».", "credit_card"),
    ("amex «3782-822463-10005»", "credit_card"),
    ("paid with «5555555555554444» today", "credit_card"),
    ("Diners «3056 930902 5904»", "credit_card"),
    ("card no «6304 2737 3398»", "credit_card"),
    ("visa «4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1»", "credit_card"),
    ("the card \u200b«4111\u20111111\u20111111\u20111111»", "credit_card"),
    ("4111 1111 1111 1112 fails the check", "credit_card"),
    ("0000 0000 0000 0000", "credit_card"),
    ("CVV: «123»", "card_security_code"),
    ("room 123", "card_security_code"),
    # Accounts
    ("IBAN «DE89 3704 0044 0532 0130 00»", "iban_code"),
    ("pay to «gb82west12345698765432»", "iban_code"),
    ("IBAN DE89 3704 0044 0532 0130 01", "iban_code"),
    ("SWIFT code «DEUTDEFF500»", "swift_code"),
    ("THE COMPUTER IS ON", "swift_code"),
    ("routing number «021000021»", "bank_account"),
    ("routing number 021000022", "bank_account"),
    ("sort code «20-00-00»", "bank_account"),
    ("konto «1234 56 78901»", "bank_account"),
    ("account number «000123456789»", "account_number"),
    ("an account of 1789", "account_number"),
    # Wallets
    ("send it to «1BoatSLRHtKNngkdXEeobR76b53LETtpyT»", "crypto"),
    ("send it to 1BoatSLRHtKNngkdXEeobR76b53LETtpyU", "crypto"),
    ("«bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq»", "crypto"),
    ("wallet «0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe»", "crypto"),
    ("0x0000000000000000000000000000000000000000", "crypto"),
    # Mail
    ("Write to «anna.berg@nordpost.se».", "email_address"),
    ("mail «用户@例子.公司» please", "email_address"),
    ("«anna\uff0eberg＠nordpost.se»", "email_address"),
    ("«anna dot berg at nordpost dot se»", "email_address"),
    ("reach «o.haddad [at] nordpost [dot] se»", "email_address"),
    ("john.doe@example.com", "email_address"),
    ("use the @property decorator", "email_address"),
    # Telephones
    ("«+46 8 123 456 78»", "phone_number"),
    ("call «(212) 867-5309» now", "phone_number"),
    ("«212.867.5309 x12»", "phone_number"),
    ("my number: «07700 901 963»", "phone_number"),
    ("Tel. «030 901820»", "phone_number"),
    ("«+33 1 42 68 53 00»", "phone_number"),
    ("«+91 98765 43210»", "phone_number"),
    ("mobile «699 956 915»", "phone_number"),
    ("1-800-829-1040 is free of charge", "phone_number"),
    ("ISBN 978-3-16-148410-0", "phone_number"),
    ("from 2019-2020 and 2021-2022", "phone_number"),
    ("version 1.2.3.4 of 10 20 30", "phone_number"),
    # Networks
    ("from «104.26.10.78»", "ip_address"),
    ("her social security number is known; she logs in from «106.31.73.20».", "ip_address"),
    ("call from «106.31.73.20»", "ip_address"),
    ("at 192.168.1.1", "ip_address"),
    ("version 1.2.3.4.5", "ip_address"),
    ("host «2a00:1450:4001:81b::200e»", "ip_address"),
    ("std::vector::iterator", "ip_address"),
    ("at 10:30:15", "ip_address"),
    ("«00:1B:44:11:3A:B7»", "mac_address"),
    ("«00-1b-44-11-3a-b7»", "mac_address"),
    ("00:00:00:00:00:00", "mac_address"),
    ("IMEI «490154203237518»", "device_id"),
    ("see «https://intranet.acme.io/people/42».", "url"),
    ("follow me on Twitter: «@anna_berg»", "username"),
    ("username: «anna.b84»", "username"),
    ("@Override", "username"),
    # Persons, as far as a word says so
    ("Dr. «Elena Fischer» signed", "person"),
    ("My name is «Omar Haddad»", "person"),
    ("Name: «Ingrid Solberg»", "person"),
    ("Dear Ms. «Chen»,", "person"),
    ("she is called upon", "person"),
    ("She is «34» years old", "age"),
    ("a «41»-year-old engineer", "age"),
    ("He turned «81».", "age"),
    ("I'm «58», thanks", "age"),
    ("aged 250 weeks", "age"),
    ("I am 100% sure", "age"),
    ("born «12 March 1980»", "date_of_birth"),
    ("DOB: «1980-03-12»", "date_of_birth"),
    ("date of birth «03/12/1980»", "date_of_birth"),
    ("due on 12 March 2024", "date_of_birth"),
    ("due on «12 March 2024»", "date_time"),
    ("on «March 12, 2024»", "date_time"),
    ("march 12 soldiers", "date_time"),
    # Records
    ("MRN «00123456»", "medical_record_number"),
    ("patient ID: «A-99231»", "medical_record_number"),
    ("the patient improved", "medical_record_number"),
    ("Medicare number «1EG4-TE5-MK73»", "health_id"),
    ("Member ID: «XYZ123456»", "member_number"),
    ("customer number «88213»", "account_number"),
    ("Case No. «21-cv-04567»", "case_number"),
    ("in case 3 of them fail", "case_number"),
    ("passport number «533380006»", "passport"),
    ("Reisepass «C01X00T47»", "passport"),
    ("driver's license «D1234567»", "driver_license"),
    ("VIN «1HGCM82633A004352»", "vehicle_id"),
    ("1HGCM82633A004353 in a list", "vehicle_id"),
    ("license plate «7ABC123»", "license_plate"),
    ("NPI «1245319599»", "provider_id"),
    ("DEA «AB1234563»", "provider_id"),
    # Addresses
    ("«12 Baker Street», London", "street_address"),
    ("«1720 Pennsylvania Avenue NW, Washington, DC 20006»", "street_address"),
    ("«Hauptstraße 12, 10115 Berlin»", "street_address"),
    ("«12 rue de la Paix»", "street_address"),
    ("«Calle de Alcalá 45»", "street_address"),
    ("«ul. Nowy Świat 15»", "street_address"),
    ("«45 Elm Rd Apt. 4»", "street_address"),
    ("«PO Box 1234»", "street_address"),
    ("«Unit 4526 Box 0671, DPO AP 40902»", "street_address"),
    ("ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", "street_address"),
    ("5 Ways to Drive Sales", "street_address"),
    ("«Springfield, IL 62704»", "street_address"),
    ("«SW1A 1AA»", "postal_code"),
    ("«K1A 0B1»", "postal_code"),
    ("zip code «90210»", "postal_code"),
    ("90210 of them", "postal_code"),
    # National and tax numbers: check digits wherever there are any
    ("«460-89-9847»", "us_ssn"),
    ("ssn «460899847»", "us_ssn"),
    ("000-89-9847", "us_ssn"),
    ("123-45-6789", "us_ssn"),
    ("ITIN «946-95-0492»", "tax_id"),
    ("EIN «12-3456789»", "tax_id"),
    ("SIN «046 454 286»", "national_id"),
    ("SIN 046 454 287", "national_id"),
    ("«529.982.247-25»", "national_id"),
    ("529.982.247-26", "national_id"),
    ("CNPJ «11.222.333/0001-81»", "tax_id"),
    ("«20-26756539-3»", "tax_id"),
    ("RUT «12.678.579-8»", "national_id"),
    ("NHS number «943 476 5919»", "health_id"),
    ("NHS number 943 476 5918", "health_id"),
    ("national insurance «AB 12 34 56 C»", "national_id"),
    ("PPS «1234567T»", "national_id"),
    ("Steuer-ID «86 095 742 719»", "tax_id"),
    ("NIR «2 55 08 14 168 025 38»", "national_id"),
    ("DNI «12345678Z»", "national_id"),
    ("12345678A", "national_id"),
    ("«RSSMRA85T10A562S»", "national_id"),
    ("NIF «501 964 843»", "tax_id"),
    ("BSN «111222333»", "national_id"),
    ("«85.07.30-033.28»", "national_id"),
    ("AHV «756.9217.0769.85»", "national_id"),
    ("«811228-9874»", "national_id"),
    ("«131052-308T»", "national_id"),
    ("PESEL «44051401458»", "national_id"),
    ("«710319/2745»", "national_id"),
    ("CNP «1630615123457»", "national_id"),
    ("OIB «33392005961»", "tax_id"),
    ("«112-233-445 95»", "national_id"),
    ("ИНН «500100732259»", "tax_id"),
    ("TCKN «10000000146»", "national_id"),
    ("«11010519491231002X»", "national_id"),
    ("HKID «A123456(3)»", "national_id"),
    ("«S1234567D»", "national_id"),
    ("S1234567E", "national_id"),
    ("Aadhaar «2345 6789 0124»", "national_id"),
    ("PAN «ABCPE1234F»", "tax_id"),
    ("TFN «123 456 782»", "tax_id"),
    ("Medicare «2123 45670 1»", "health_id"),
    ("RSA ID «800101 5009 087»", "national_id"),
    ("VAT «DE136695976»", "tax_id"),
    # A row of digits is what it is: neither a date nor a telephone
    ("order 4111111111111111 shipped", "date_time"),
    ("π is 3.14159265358979323846", "phone_number"),
    ("2147483647 is the largest", "phone_number"),
    ("for i in range(1000000000):", "national_id"),
    ("sha1 da39a3ee5e6b4b0d3255bfef95601890afd80709", "credit_card"),
    # What belongs to nobody: specimens of forms, numbers of companies in all of a country
    ('"street": "123 Main St"', "street_address"),
    ("«1123 Main St»", "street_address"),
    # What authorities have set aside for fiction, and codes of the post for nothing but government
    ("Call 212-555-0123 now", "phone_number"),
    ("phone (415) 555-0199", "phone_number"),
    ("tel +1 650-555-0100", "phone_number"),
    ("tel 555-0142", "phone_number"),
    ("tel «212-555-0223»", "phone_number"),
    ("tel «212-556-0123»", "phone_number"),
    ("is it +44 20 7946 0958", "phone_number"),
    ("is it 020 7946 0018", "phone_number"),
    ("call «020 7946 1018»", "phone_number"),
    ("call 01632 960001", "phone_number"),
    ("mobile 07700 900123", "phone_number"),
    ("mobile «07700 901123»", "phone_number"),
    ("is it +61 491 570 156", "phone_number"),
    ("phone 02 5550 1234", "phone_number"),
    ("SSN 007-45-6789", "us_ssn"),
    ("SSN «007-45-6780»", "us_ssn"),
    ("SSN 219-09-9999", "us_ssn"),
    ("at 1720 Pennsylvania Avenue NW, Washington, DC 20500", "street_address"),
    ("Washington, DC 20501", "street_address"),
    ("In 2017, the Supreme Court ruled", "street_address"),
    ("He lives at «2017, The Court»", "street_address"),
    ("a 2x NL Home Run leader", "street_address"),
    # And what all know to be a seat of a government or of a story.
    ("It is at 1600 Pennsylvania Avenue NW.", "street_address"),
    ("He works at 11 Downing Street, London.", "street_address"),
    ("She lives at «1650 Pennsylvania Avenue», they say.", "street_address"),
    ("Text is the 0345 854 7777.", "phone_number"),
    ("Text is the «0151 234 5678».", "phone_number"),
)
# fmt: on

CASES = tuple(_case(marked, kind) for marked, kind in _ROWS)
