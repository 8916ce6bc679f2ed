/**
 * Words that columns and tables are named by, and what else they are called: in English, in the abbreviations of
 * business software, in German, Spanish and French. Each line is a concept, then its other names. A name of several words
 * is written with `_`. Accents are left out, as they are where names are compared.
 */
const CONCEPTS = `
email: mail e_mail mail_address email_address smtp_addr correo correo_electronico courriel email_adresse mail_adresse emailadresse electronic_mail eml
phone: telephone tel telefon telefono telf1 phone_number phone_no telephone_number tel_no fon telefonnummer rufnummer phone_num
mobile: cell mobile_phone cell_phone handy movil mobil mobile_number telephone_portable celular gsm telf2
fax: fax_number telefax telfx fax_no
first_name: fname given_name forename vorname prenom firstname primer_nombre name_first namev
last_name: lname surname family_name nachname apellido apellidos lastname nom_famille nom_de_famille name_last familienname
full_name: fullname complete_name voller_name nombre_completo nom_complet display_name
name: nm nombre nom bezeichnung label name1 naam
birth_date: dob date_of_birth birthday birthdate geburtsdatum geb_datum fecha_nacimiento fecha_de_nacimiento date_naissance date_de_naissance bday gbdat date_birth
gender: sex geschlecht sexo sexe
salutation: anrede civilite honorific tratamiento
title: headline subject betreff titulo titre caption titel heading post_title ueberschrift
description: desc descr dscr beschreibung descripcion maktx details
content: body inhalt contenu contenido html post_content body_html texto texte
excerpt: summary abstract teaser auszug resumen post_excerpt short_description kurztext
note: comment remark memo bemerkung notiz anmerkung observacion observaciones remarque kommentar commentaire comentario
address: addr adresse direccion anschrift
street: str strasse stras street_address address_line1 address_line_1 address1 addr1 addr_1 calle rue line1 address_1
street2: address_line2 address_line_2 address2 addr2 line2 address_2 adresszusatz
city: town ort ort01 stadt ciudad ville locality municipality
postcode: zip zipcode zip_code post_code postal_code plz pstlz postleitzahl codigo_postal code_postal postal
state: region province bundesland provincia regio estado_federal
country: land land1 pais pays nation ctry cntry
company: firm firma organisation organization empresa societe entreprise unternehmen org
website: homepage web_site webseite web site_url web_page sitio_web site_web user_url
url: link uri href permalink enlace lien
customer: client cust kunde cliente debtor kd kdnr debitor cstmr buyer
supplier: vendor lieferant proveedor fournisseur creditor kreditor vend supp
user: usr benutzer usuario utilisateur
author: writer autor auteur verfasser post_author
employee: emp mitarbeiter empleado employe staff worker personal
contact: kontakt contacto ansprechpartner
order: ord auftrag bestellung pedido commande bestell
invoice: inv rechnung factura facture bill
payment: pmt zahlung pago paiement pay_ment
shipment: versand envio expedition
delivery: lieferung entrega livraison liefer dlv
product: prod artikel article articulo produit producto material item matl
category: cat kategorie categoria categorie
warehouse: whse lager almacen entrepot wh
project: proj projekt proyecto projet
task: aufgabe tarea tache todo
amount: amt betrag importe montant netwr
total: sum gesamt gesamtbetrag summe grand_total total_amount amount_total total_amt
price: preis precio prix netpr prc
cost: kosten coste cout costo
quantity: qty menge cantidad quantite qnty kwmeng
stock: inventory bestand on_hand existencias stock_quantity lagerbestand qty_on_hand in_stock
currency: curr waers waehrung moneda devise ccy currency_code
tax: vat mwst ust steuer iva tva impuesto
discount: disc rabatt descuento remise dscnt
weight: wt gewicht peso poids brgew
height: hoehe altura hauteur
width: breite ancho largeur
length: laenge longitud_total longueur len
colour: color farbe couleur
size: groesse talla taille
unit: uom meins einheit unidad unite unit_of_measure
brand: marke marca marque manufacturer hersteller fabricante
created_at: created created_on creation_date date_created create_date creation_time inserted_at added_at date_added erdat angelegt_am erstellt_am erstellt fecha_creacion date_creation registered registered_at registration_date signup_date created_date createddate create_time crtd crt_dt erstelldatum fecha_alta date_joined
published_at: published publish_date pub_date publication_date post_date veroeffentlicht_am published_on
updated_at: updated modified modified_at changed changed_at last_modified last_updated modification_date aedat update_date date_modified geaendert_am geaendert lastmod mtime changed_on updated_on modified_on fecha_modificacion post_modified updated_date last_update upd modified_date date_updated aenderungsdatum
deleted_at: deleted_on removed_at geloescht_am deletion_date
is_deleted: deleted loevm del_flag geloescht deleted_flag eliminado
created_by: ernam creator created_by_user angelegt_von
updated_by: aenam modified_by changed_by last_modified_by
start_date: begin_date from_date valid_from start begin beginn datab starts_at start_time started_at startdatum fecha_inicio date_debut start_at inicio
end_date: to_date valid_to until ende datbi ends_at end finish end_time ended_at enddatum fecha_fin date_fin end_at fin valid_until
due_date: due faelligkeitsdatum deadline due_on due_at faellig_am fecha_vencimiento faelligkeit
order_date: ordered_at bestelldatum auftragsdatum audat placed_at fecha_pedido order_placed ordered_on
shipped_at: ship_date shipped_date shipped_on versanddatum shipped fecha_envio
delivery_date: lieferdatum delivered_at delivered_on delivered_date fecha_entrega
invoice_date: rechnungsdatum fecha_factura invoiced_at date_facture
paid_at: payment_date paid_on paid_date zahlungsdatum
hire_date: hired_at hiredate hired_on eintrittsdatum entry_date date_hired fecha_contratacion joined_at
login_at: last_login last_login_at last_seen last_signed_in last_sign_in_at letzte_anmeldung
active: is_active enabled is_enabled aktiv activo actif
status: stat etat stus zustand state_code post_status comment_approved
type: kind typ tipo art typ_e
number: no nr num nummer numero nbr
code: cod kode
sku: item_code article_number item_number artikelnummer product_code matnr
customer_number: kunnr kundennummer cust_no customer_no kundennr numero_cliente
supplier_number: lifnr lieferantennummer vendor_no
order_number: vbeln auftragsnummer bestellnummer ord_no order_no numero_pedido bestellnr auftragsnr ordernumber
invoice_number: rechnungsnummer inv_no invoice_no rechnungsnr numero_factura belnr
id: pk identifier ident oid
uuid: guid
slug: user_nicename post_name alias url_key
username: user_name login user_login benutzername login_name uname nombre_usuario nickname
password: pwd passwd passwort user_pass contrasena mot_de_passe password_hash hashed_password pass
image: img picture photo bild foto imagen pic
avatar: profile_picture profile_image avatar_url
parent: par eltern padre
language: lang sprache idioma langue locale spras
position: sort_order sortorder sort ordering rank sequence menu_order display_order seq reihenfolge orden
line: zeile linea ligne posnr line_no
latitude: lat breitengrad latitud
longitude: lng lon long laengengrad
ip: ip_address ipaddr ip_addr author_ip
rating: score stars bewertung note_sur puntuacion
account: acct konto cuenta compte acc
balance: saldo solde kontostand
department: dept abteilung departamento departement dep
salary: sal gehalt sueldo wage salaire
manager: mgr boss vorgesetzter jefe supervisor
job_title: job role_title occupation beruf puesto stelle
count: cnt anzahl cuenta_total nombre_de
value: val wert valor valeur
reference: ref referenz referencia
date: datum fecha dt dat
time: zeit hora heure
timestamp: ts zeitstempel
percent: pct prozent percentage porcentaje
flag: flg kennzeichen kz
group: grp gruppe grupo groupe
message: msg nachricht mensaje
tag: schlagwort etiqueta
comment_count: comments_count num_comments
duration: dauer duracion duree
year: jahr ano annee
month: monat mes mois
day: tag_des dia jour
hour: stunde
net: netto neto
gross: brutto bruto
billing: bill_to rechnungs facturacion facturation
shipping: ship_to ship
room: zimmer raum habitacion
isbn: isbn13 isbn_13
`

/** Words that say little by themselves: many columns of one table share them. */
const WEAK = new Set(
  'id number code date time timestamp name type flag value is has at by on of the and to data field col column text info tbl'.split(
    ' ',
  ),
)

/** Words of which a pair of names has one each only where different things are meant. */
const OPPOSITES = `billing shipping|home work|min max|from to|start end|first last|net gross|old new|buy sell|in out|
primary secondary|credit debit|width height|sent received|created updated|planned actual|source target|private public|
opening closing|before after|sub total|parent child|open close|work mobile|online offline|regular sale`

/** A name of a concept as its words, the longest first, so that the first that fits is the best. */
export const PHRASES: ReadonlyMap<string, string> = new Map(
  CONCEPTS.trim()
    .split('\n')
    .flatMap((line) => {
      const [concept = '', names = ''] = line.split(':')
      return [concept, ...names.trim().split(' ')].map((name): [string, string] => [name, concept])
    })
    .filter(([name]) => name !== ''),
)

/** Every word of every phrase: what a run of letters is taken apart into. */
export const WORDS: ReadonlySet<string> = new Set(
  [...PHRASES.keys()].flatMap((phrase) => phrase.split('_')).filter((word) => word.length >= 3),
)

export function isWeak(word: string): boolean {
  return WEAK.has(word)
}

const opposites = new Set(
  OPPOSITES.split('|').flatMap((pair) => {
    const [a = '', b = ''] = pair.trim().split(' ')
    return [`${a} ${b}`, `${b} ${a}`]
  }),
)

export function areOpposite(a: string, b: string): boolean {
  return opposites.has(`${a} ${b}`)
}
